"""Any folder of images with YOLO's text labels."""
from pathlib import Path, PurePosixPath
from typing import List, Optional, Sequence

from ..images import read_image_size
from ..reading import read_lines
from ..record import ConversionError, Record
from ..report import Finding, Report
from ..yolo import read_yolo
from .files import FolderFiles, find_first
from .pairs import PairsReader
from .splits import LIST_FOLDERS, LISTS


class YOLOFolderReader(PairsReader):
    """Reads text labels, one per image, wherever they lie.

    An image without a label file has no objects, as YOLO has it; each is noted. Text files in
    folders without any label are something else, such as lists.

    Args:
        files: The folder.
        classes: The class names in the order of their numbers; None for those of ``classes.txt``
            or ``obj.names``, one per line.
        lists: The folder of the lists of images; None for the usual places.
        seed: What the split is drawn from if there are no lists.

    Raises:
        ConversionError: If there are no class names.
    """

    def __init__(self, files: FolderFiles, classes: Optional[Sequence[str]],
                 lists: Optional[Path], seed: int) -> None:
        labels = yolo_labels(files)
        super().__init__(files, labels, lists, seed)
        self.findings += [
            Finding(Report.UNUSED, path.as_posix()) for path in _texts(files)
            if path.as_posix() not in labels
            and (lists is None or not (self.root / path).parent.samefile(lists))]
        names = find_first(self.root, 'classes.txt', 'obj.names')
        if classes is None and names is None:
            raise ConversionError(f'{self.root}: no classes.txt; put the class names there, one '
                                  'per line in the order of their numbers, or use --classes')
        self.classes: List[str] = list(classes or read_lines(names, 'class names'))

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        self.check(image_id)
        size = read_image_size(self.root, image_id)
        label = self.label_of.get(image_id)
        if label is None:
            return Record(image_id, image_id, *size, [], [Finding(Report.UNLABELLED, image_id)])
        boxes = read_yolo(self.root, label, self.classes, *size)
        return Record(image_id, label, *size, boxes, [])


def yolo_labels(files: FolderFiles) -> List[str]:
    """Returns the text files of folders in which at least one has an image."""
    texts = _texts(files)
    folders = {path.parent for path in texts if files.images_of_label(path.as_posix())}
    return [path.as_posix() for path in texts if path.parent in folders]


def _texts(files: FolderFiles) -> List[PurePosixPath]:
    """The text files that may be labels: no class names, no lists where lists are looked for."""
    texts = [PurePosixPath(label) for label in files.with_suffix('.txt')]
    known = {f'{folder}/{name}'.lstrip('/') for folder in LIST_FOLDERS for name in LISTS}
    return [path for path in texts
            if path.name != 'classes.txt' and path.as_posix() not in known]

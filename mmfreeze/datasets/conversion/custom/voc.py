"""Any folder of images with PASCAL VOC's xml."""
from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional, Sequence

from ..images import read_image_size
from ..record import LabelError, Record, inclusive_box
from ..report import size_finding
from ..voc import VOCAnnotation, read_voc
from .files import FolderFiles
from .pairs import PairsReader


class VOCFolderReader(PairsReader):
    """Reads xml files, one per image, wherever they lie. Coordinates are 1-based and inclusive, as
    PASCAL VOC counts them; objects marked ``difficult`` become crowd boxes, which count for
    nothing.

    Args:
        files: The folder.
        classes: The class names; None for those of the labels, sorted.
        lists: The folder of the lists of images; None for the usual places.
        seed: What the split is drawn from if there are no lists.
    """

    def __init__(self, files: FolderFiles, classes: Optional[Sequence[str]],
                 lists: Optional[Path], seed: int) -> None:
        super().__init__(files, files.with_suffix('.xml'), lists, seed)
        self.annotations: Dict[str, VOCAnnotation] = {}
        for image, label in self.label_of.items():
            try:
                self.annotations[image] = read_voc(self.root, label, PurePosixPath(image).stem)
            except LabelError as error:
                self.troubles.setdefault(image, str(error))
        names = {item.name for read in self.annotations.values() for item in read.objects}
        self.classes: List[str] = list(classes or sorted(names))

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        self.check(image_id)
        if image_id not in self.annotations:
            raise LabelError(f'{image_id}: has no xml of the same name')
        label, annotation = self.label_of[image_id], self.annotations[image_id]
        size = read_image_size(self.root, image_id)
        return Record(image_id, label, *size, [
            inclusive_box(*item) for item in annotation.objects
        ], size_finding(label, annotation.size, image_id, size))

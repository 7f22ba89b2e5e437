"""Reads DIOR's own layout: VOC-like xml, lists of ids, images in one or two folders."""
from pathlib import Path
from typing import Dict, List, Sequence, Union

from .images import read_image_size
from .reading import read_id_list, require_lists
from .record import ConversionError, LabelError, Reader, Record, inclusive_box
from .report import size_finding, unlisted
from .voc import read_voc


class DIORReader(Reader):
    """Reads DIOR (Li et al., ISPRS 2020) and sets written in its layout.

    Below ``root`` are expected ``Annotations/*.xml`` (or ``Annotations/Horizontal Bounding
    Boxes/*.xml``, as the official archive unpacks), ``ImageSets/Main/{train,val,test}.txt`` (or
    ``ImageSets/``) and ``JPEGImages-trainval/`` with ``JPEGImages-test/`` (or ``JPEGImages/``).
    Coordinates are 1-based and inclusive.

    Args:
        root: The folder of the data set.
        classes: The class names in official order.
        labels_only: Whether to trust the sizes in the xml and look at no image file.

    Raises:
        ConversionError: If a folder or a list of ids is missing.
    """

    def __init__(self, root: Union[str, Path], classes: Sequence[str],
                 labels_only: bool = False) -> None:
        self.root = Path(root)
        self.classes = classes
        self.labels_only = labels_only
        labels = self.root / 'Annotations'
        if not labels.is_dir():
            raise ConversionError(f'{labels}: no such folder; unpack the xml files there')
        horizontal = labels / 'Horizontal Bounding Boxes'
        self.labels = horizontal if horizontal.is_dir() else labels
        self.splits = self._read_splits()
        self.findings = unlisted((path.stem for path in self.labels.glob('*.xml')), self.splits)
        self.official_folder = dict.fromkeys(self.splits['trainval'], 'JPEGImages-trainval')
        self.official_folder.update(dict.fromkeys(self.splits['test'], 'JPEGImages-test'))
        self.image_folders = [
            folder for folder in ('JPEGImages-trainval', 'JPEGImages-test', 'JPEGImages')
            if (self.root / folder).is_dir()
        ]

    def _read_splits(self) -> Dict[str, List[str]]:
        lists = self.root / 'ImageSets'
        if (lists / 'Main').is_dir():
            lists = lists / 'Main'
        require_lists([lists / f'{name}.txt' for name in ('train', 'val', 'test')],
                      'put the official lists of image ids there')
        splits = {name: read_id_list(lists / f'{name}.txt') for name in ('train', 'val')}
        both = lists / 'trainval.txt'
        splits['trainval'] = (
            read_id_list(both) if both.is_file() else splits['train'] + splits['val'])
        splits['test'] = read_id_list(lists / 'test.txt')
        return splits

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        label = f'{self.labels.relative_to(self.root).as_posix()}/{image_id}.xml'
        voc = read_voc(self.root, label, image_id)
        if voc.file_name is None or voc.size is None:
            missing = 'filename' if voc.file_name is None else 'size'
            raise LabelError(f'{label}: has no {missing}; replace it by the official file')
        boxes = [inclusive_box(name, corners, difficult)
                 for name, corners, difficult in voc.objects]
        file_name = self._find_image(image_id, voc.file_name)
        size, findings = voc.size, []
        if not self.labels_only:
            size = read_image_size(self.root, file_name)
            findings = size_finding(label, voc.size, file_name, size)
        return Record(file_name, label, *size, boxes, findings)

    def _find_image(self, image_id: str, file_name: str) -> str:
        """Returns the image's path below the root; where there is no file, the official one."""
        for folder in self.image_folders:
            if (self.root / folder / file_name).is_file():
                return f'{folder}/{file_name}'
        folder = self.official_folder[image_id]
        return f'{"JPEGImages" if self.image_folders == ["JPEGImages"] else folder}/{file_name}'

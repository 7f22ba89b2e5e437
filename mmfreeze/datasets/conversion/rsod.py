"""Reads RSOD's own layout: a folder per class with images and xml or text labels."""
from pathlib import Path
from typing import List, Sequence, Union

from .images import read_image_size
from .reading import numbered_lines, parse_number
from .record import Box, ConversionError, LabelError, Reader, Record
from .report import Finding, size_finding
from .split import seeded_split
from .voc import read_voc


class RSODReader(Reader):
    """Reads RSOD (Long et al., TGRS 2017; Xiao et al., IJRS 2015).

    Below ``root`` are expected ``<class>/JPEGImages/*.jpg`` with ``<class>/Annotation/xml/*.xml``
    or, where an image has no xml, ``<class>/Annotation/labels/*.txt``, whose lines read
    ``image.jpg class xmin ymin xmax ymax``. There is no official split: 75 % of each class
    folder's images are ``train``, the others ``test``. Image ids are ``<class>/<name>``.

    Corners are taken for positions counted from 0. That is inferred: the release does not say
    how they count, and its smallest are 0 (and below, where boxes leave their image).

    Args:
        root: The folder of the data set.
        classes: The class names, which are the folders' names too.
        seed: Another seed gives another split.

    Raises:
        ConversionError: If a class folder is missing or has no image.
    """

    def __init__(self, root: Union[str, Path], classes: Sequence[str], seed: int = 0) -> None:
        self.root = Path(root)
        self.classes = classes
        ids = [image_id for name in classes for image_id in self._list_ids(name)]
        self.splits = seeded_split(ids, seed, group=lambda image_id: image_id.split('/')[0])

    def _list_ids(self, name: str) -> List[str]:
        """Returns the id of everything in a class folder, image or label."""
        folder = self.root / name
        if not (folder / 'JPEGImages').is_dir():
            raise ConversionError(f'{folder / "JPEGImages"}: no such folder; unpack RSOD there')
        stems = {path.stem for pattern in ('JPEGImages/*.jpg', 'Annotation/xml/*.xml',
                                           'Annotation/labels/*.txt')
                 for path in folder.glob(pattern)}
        if not stems:
            raise ConversionError(f'{folder / "JPEGImages"}: no image (*.jpg); unpack RSOD there')
        return [f'{name}/{stem}' for stem in sorted(stems)]

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        folder, stem = image_id.split('/')
        label, file_name = f'{folder}/Annotation/xml/{stem}.xml', f'{folder}/JPEGImages/{stem}.jpg'
        findings: List[Finding] = []
        in_text = f'{folder}/Annotation/labels/{stem}.txt'
        if not (self.root / label).exists() and (self.root / in_text).exists():
            label = in_text
            boxes = _read_text(self.root, label, f'{stem}.jpg')
            size = read_image_size(self.root, file_name)
        else:
            voc = read_voc(self.root, label, stem)
            boxes = [Box(name, corners, corners, difficult)
                     for name, corners, difficult in voc.objects]
            size = read_image_size(self.root, file_name)
            findings = size_finding(label, voc.size, file_name, size)
        return Record(file_name, label, *size, boxes, findings)


def _read_text(root: Path, label: str, file_name: str) -> List[Box]:
    boxes = []
    for where, line in numbered_lines(root, label):
        try:
            image, name, *listed = line.split()
            x1, y1, x2, y2 = map(parse_number, listed)
        except ValueError:
            raise LabelError(f'{where}: expected image, class, xmin, ymin, xmax, ymax, '
                             f'not {line[:80]!r}') from None
        if image != file_name:
            raise LabelError(f'{where}: is about another image, {image!r}')
        boxes.append(Box(name, (x1, y1, x2, y2), (x1, y1, x2, y2)))
    return boxes

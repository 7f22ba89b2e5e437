"""Reads NWPU VHR-10's own layout: one text file per image."""
import re
from pathlib import Path
from typing import Sequence, Union

from .images import read_image_size
from .reading import numbered_lines, read_id_list, require_lists
from .record import Box, ConversionError, LabelError, Reader, Record, inclusive_box
from .report import unlisted

NUMBER = r'\s*(\d{1,9})\s*'
POINT = rf'\s*\({NUMBER},{NUMBER}\)\s*'
LINE = re.compile(f'{POINT},{POINT},{NUMBER}')


class NWPUVHR10Reader(Reader):
    """Reads NWPU VHR-10's positive images (Cheng et al., ISPRS 2014).

    Below ``root`` are expected ``positive image set/NNN.jpg``, ``ground truth/NNN.txt`` (both
    names with blanks or underscores) and ``image_set/{train,test}.txt``. A line of a label file
    reads ``(x1,y1),(x2,y2),class`` with classes from 1; blanks may stand between the parts. Sizes
    come from the images. That coordinates are 1-based and inclusive is inferred: the release does
    not say so, its smallest coordinate is 1.

    Args:
        root: The folder of the data set.
        classes: The class names in official order.

    Raises:
        ConversionError: If a folder or a list of ids is missing.
    """

    def __init__(self, root: Union[str, Path], classes: Sequence[str]) -> None:
        self.root = Path(root)
        self.classes = classes
        self.images = self._folder('positive image set')
        self.labels = self._folder('ground truth')
        lists = self.root / 'image_set'
        require_lists([lists / 'train.txt', lists / 'test.txt'],
                      'NWPU VHR-10 has no official split, so put two lists of image ids there, one '
                      'id such as 001 per line')
        self.splits = {name: read_id_list(lists / f'{name}.txt') for name in ('train', 'test')}
        self.findings = unlisted((path.stem for path in self.labels.glob('*.txt')), self.splits)

    def _folder(self, name: str) -> Path:
        for candidate in (name, name.replace(' ', '_')):
            if (self.root / candidate).is_dir():
                return self.root / candidate
        raise ConversionError(f'{self.root / name}: no such folder, with underscores neither; '
                              'unpack NWPU VHR-10 there')

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        label = f'{self.labels.name}/{image_id}.txt'
        boxes = [self._parse(where, line) for where, line in numbered_lines(self.root, label)]
        file_name = f'{self.images.name}/{image_id}.jpg'
        width, height = read_image_size(self.root, file_name)
        return Record(file_name, label, width, height, boxes, [])

    def _parse(self, where: str, line: str) -> Box:
        match = LINE.fullmatch(line)
        if not match:
            raise LabelError(f'{where}: expected (x1,y1),(x2,y2),class, not {line!r}')
        *corners, category = map(int, match.groups())
        if not 1 <= category <= len(self.classes):
            raise LabelError(f'{where}: class {category} is not one of 1 to {len(self.classes)}')
        return inclusive_box(self.classes[category - 1], tuple(corners))

"""Reads SIMD's own layout: a text file beside each image, and lists of image paths."""
from pathlib import Path, PurePosixPath
from typing import Sequence, Union

from .images import read_image_size
from .reading import read_id_list, read_lines, require_lists
from .record import ConversionError, Reader, Record
from .report import unlisted
from .yolo import read_yolo


class SIMDReader(Reader):
    """Reads SIMD (Haroon, Shahzad, Fraz, JSTARS 2020).

    Below ``root`` are expected ``images/NNNN.jpg`` with ``images/NNNN.txt`` beside them and the
    lists ``training.txt``, ``validation.txt`` and ``testing.txt`` with lines such as
    ``./images/0001.jpg``. Training and validation together are ``train``. Image ids are the
    listed paths.

    Args:
        root: The folder of the data set.
        classes: The class names in official order.

    Raises:
        ConversionError: If a list is missing, or if there is a ``classes.txt`` with other classes.
    """

    def __init__(self, root: Union[str, Path], classes: Sequence[str]) -> None:
        self.root = Path(root)
        self.classes = classes
        lists = {name: self.root / f'{name}.txt' for name in ('training', 'validation', 'testing')}
        require_lists([*lists.values()], 'put the official lists of images there')
        names = self.root / 'classes.txt'
        if names.is_file() and read_lines(names, 'classes') != list(classes):
            raise ConversionError(f'{names}: is not SIMD\'s list ({", ".join(classes)}); '
                                  'tools/dataset_converters/custom.py takes other classes')
        self.splits = dict(
            train=read_id_list(lists['training']) + read_id_list(lists['validation']),
            test=read_id_list(lists['testing']))
        images = (f'images/{path.name}' for path in (self.root / 'images').glob('*.jpg'))
        self.findings = unlisted(images, self.splits)

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        label = PurePosixPath(image_id).with_suffix('.txt').as_posix()
        size = read_image_size(self.root, image_id)
        return Record(image_id, label, *size, read_yolo(self.root, label, self.classes, *size), [])

"""Reads DIOR's own layout: VOC-like xml, lists of ids, images in one or two folders."""
from pathlib import Path
from typing import Dict, List, Sequence, Union
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from .record import (Box, ConversionError, LabelError, Reader, Record, inclusive_box, read_id_list,
                     read_image_size)
from .report import Finding, Report

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


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
        missing = [f'{name}.txt' for name in ('train', 'val', 'test')
                   if not (lists / f'{name}.txt').is_file()]
        if missing:
            raise ConversionError(f'{lists}: {", ".join(missing)} missing; put the official lists '
                                  'of image ids there')
        splits = {name: read_id_list(lists / f'{name}.txt') for name in ('train', 'val')}
        both = lists / 'trainval.txt'
        splits['trainval'] = (
            read_id_list(both) if both.is_file() else splits['train'] + splits['val'])
        splits['test'] = read_id_list(lists / 'test.txt')
        return splits

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        path = self.labels / f'{image_id}.xml'
        label = path.relative_to(self.root).as_posix()
        try:
            tree = parse(path).getroot()
        except FileNotFoundError as error:
            raise LabelError(f'{label}: the label file is missing') from error
        except (OSError, ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise LabelError(f'{label}: cannot be read as xml ({error})') from error
        try:
            if tree.tag != 'annotation':
                raise ValueError(f'the outermost element is <{tree.tag}>, not <annotation>')
            width, height = (_positive(tree, f'size/{side}') for side in ('width', 'height'))
            boxes = [_read_object(element, number)
                     for number, element in enumerate(tree.iterfind('object'), start=1)]
            file_name = self._find_image(image_id, _text(tree, 'filename'))
        except ValueError as error:
            raise LabelError(f'{label}: {error}') from error
        findings = []
        if not self.labels_only:
            actual = read_image_size(self.root, file_name)
            if actual != (width, height):
                findings.append(Finding(
                    Report.SIZE, f'{label}: says {width} x {height}, but {file_name} has '
                    f'{actual[0]} x {actual[1]}, which is taken'))
                width, height = actual
        return Record(file_name, label, width, height, boxes, findings)

    def _find_image(self, image_id: str, file_name: str) -> str:
        """Returns the image's path below the root; where there is no file, the official one."""
        if Path(file_name).stem != image_id:
            raise ValueError(f'is about another image, {file_name!r}')
        for folder in self.image_folders:
            if (self.root / folder / file_name).is_file():
                return f'{folder}/{file_name}'
        folder = self.official_folder[image_id]
        return f'{"JPEGImages" if self.image_folders == ["JPEGImages"] else folder}/{file_name}'


def _text(element: Element, path: str) -> str:
    text = element.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f'has no {path}')
    return text.strip()


def _positive(element: Element, path: str) -> int:
    text = _text(element, path)
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f'{path} must be a positive integer, not {text!r}')
    return int(text)


def _read_object(element: Element, number: int) -> Box:
    name, box = element.findtext('name'), element.find('bndbox')
    if name is None:
        raise ValueError(f'object {number} has no name')
    if box is None:
        raise ValueError(f'object {number} has no bndbox; oriented boxes are not read')
    listed = [box.findtext(corner) for corner in CORNERS]
    try:
        corners = tuple(map(int, listed))
    except (TypeError, ValueError):
        raise ValueError(f'object {number} needs four integers for {", ".join(CORNERS)}, '
                         f'not {", ".join(map(str, listed))}') from None
    return inclusive_box(name.strip(), corners)

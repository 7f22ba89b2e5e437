"""PASCAL VOC's xml, as DIOR, RSOD and labelling tools write it."""
from pathlib import Path, PurePosixPath
from typing import List, NamedTuple, Optional, Tuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from .reading import parse_number, read_label_bytes, relative_name
from .record import Corners, LabelError

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


class VOCObject(NamedTuple):
    """One object: its class, its corners as written, and whether it is marked ``difficult``."""
    name: str
    corners: Corners
    difficult: bool


class VOCAnnotation(NamedTuple):
    """One xml file.

    Attributes:
        file_name: The image's name in it, without folders; None if it has none.
        size: (width, height) in it; None if it has none.
        objects: The objects in the file's order.
    """
    file_name: Optional[str]
    size: Optional[Tuple[int, int]]
    objects: List[VOCObject]


def read_voc(root: Path, label: str, image: str) -> VOCAnnotation:
    """Reads the xml of one image. Elements are found by their path, for their order varies.

    Args:
        root: The folder of the data set.
        label: The file's path below it.
        image: The image's name without suffix, which the file must be about if it has a filename.

    Raises:
        LabelError: If it is missing or broken, declares entities, or is about another image.
    """
    try:
        tree = fromstring(read_label_bytes(root, label))
    except ParseError as error:
        raise LabelError(f'{label}: cannot be read as xml ({error}); mend or replace it') from error
    except DefusedXmlException as error:
        raise LabelError(f'{label}: cannot be read as xml, for it declares entities, which may be '
                         'an attack; remove its <!DOCTYPE ...>') from error
    except LabelError:
        raise
    except (ValueError, LookupError) as error:  # encodings that expat does not know
        raise LabelError(f'{label}: cannot be read as xml ({error}); save it as UTF-8') from error
    try:
        if tree.tag != 'annotation':
            raise ValueError(f'the outermost element is <{tree.tag}>, not <annotation>')
        file_name = (tree.findtext('filename') or '').strip() or None
        if file_name is not None:
            # Only the name counts; some tools write whole paths of the machine they ran on.
            file_name = PurePosixPath(relative_name(file_name.lstrip('/'))).name
            if image not in (file_name, PurePosixPath(file_name).stem):
                raise ValueError(f'is about another image, {file_name!r}')
        size = None
        if tree.find('size') is not None:
            size = _positive(tree, 'size/width'), _positive(tree, 'size/height')
        objects = [_read_object(element, number)
                   for number, element in enumerate(tree.iterfind('object'), start=1)]
    except ValueError as error:
        raise LabelError(f'{label}: {error}') from error
    return VOCAnnotation(file_name, size, objects)


def _positive(element: Element, path: str) -> int:
    text = (element.findtext(path) or '').strip()
    if not text:
        raise ValueError(f'has no {path}')
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise ValueError(f'{path} must be a positive integer, not {text[:20]!r}')
    return int(text)


def _read_object(element: Element, number: int) -> VOCObject:
    name, box = element.findtext('name'), element.find('bndbox')
    if name is None or not name.strip():
        raise ValueError(f'object {number} has no name')
    if box is None:
        raise ValueError(f'object {number} has no bndbox; oriented boxes are not read')
    listed = [box.findtext(corner) for corner in CORNERS]
    try:
        corners = tuple(map(parse_number, listed))
    except (TypeError, ValueError):
        raise ValueError(f'object {number} needs four numbers for {", ".join(CORNERS)}, '
                         f'not {", ".join(map(str, listed))}') from None
    difficult = (element.findtext('difficult') or '').strip() == '1'
    return VOCObject(' '.join(name.split()), corners, difficult)

"""Any folder of images with COCO's json."""
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..images import read_image_size
from ..reading import read_label_text, relative_name
from ..record import Box, ConversionError, LabelError, Reader, Record
from ..report import size_finding, unlisted
from .files import FolderFiles
from .splits import check_splits, find_splits, split_of

NUMBER, KEY = (int, float), (int, str)


class COCOFolderReader(Reader):
    """Reads one json, or several that are named after their splits. Only boxes are taken; those of
    ``iscrowd`` stay so. Image ids are the images' paths.

    Args:
        files: The folder.
        classes: The class names; None for those of the categories, sorted.
        lists: The folder of the lists of images; None for the usual places.
        seed: What the split is drawn from if there is one json and no list.

    Raises:
        ConversionError: If a json is broken, or if its parts do not fit together.
    """

    def __init__(self, files: FolderFiles, classes: Optional[Sequence[str]],
                 lists: Optional[Path], seed: int) -> None:
        self.root = files.root
        self.files = files
        self.troubles: Dict[str, str] = {}
        self.entries: Dict[str, Tuple[str, dict, List[dict]]] = {}
        self.names: Dict[str, Dict[Any, str]] = {}
        labels = files.with_suffix('.json')
        ids = {label: self._load(label) for label in labels}
        names = {name for categories in self.names.values() for name in categories.values()}
        self.classes = list(classes or sorted(names))
        if len(labels) == 1:
            self.splits, troubles = find_splits(files, ids[labels[0]], lists, seed)
            self.troubles.update(troubles)
        else:
            self.splits = self._splits_by_name(ids)
        self.findings = unlisted([*files.images, *self.entries], self.splits)

    def _splits_by_name(self, ids: Dict[str, List[str]]) -> Dict[str, List[str]]:
        splits: Dict[str, List[str]] = {}
        for label in ids:
            name = split_of(label)
            if name is None or name in splits:
                raise ConversionError(f'{self.root / label}: of several json files each must be '
                                      'named after its split, train, val or test; rename or '
                                      'remove it')
            splits[name] = ids[label]
        check_splits(splits, self.root)
        return splits

    def _load(self, label: str) -> List[str]:
        """Takes in one json and returns its image ids."""
        try:
            content = json.loads(read_label_text(self.root, label))
        except LabelError as error:
            raise ConversionError(str(error)) from error
        except (ValueError, RecursionError) as error:
            raise ConversionError(f'{label}: cannot be read as json ({error}); mend it') from error
        tables = {}
        for table in ('images', 'annotations', 'categories'):
            tables[table] = content.get(table) if isinstance(content, dict) else None
            if not isinstance(tables[table], list):
                raise ConversionError(f'{label}: has no list "{table}"; it is not COCO\'s json')
        try:
            return self._join(label, **tables)
        except LabelError as error:
            raise ConversionError(f'{label}: {error}') from error

    def _join(self, label: str, images: list, annotations: list, categories: list) -> List[str]:
        self.names[label] = {}
        for number, entry in enumerate(categories, start=1):
            key, name = (_field(entry, field, kind, f'category {number}')
                         for field, kind in (('id', KEY), ('name', str)))
            if key in self.names[label] or name in self.names[label].values():
                raise LabelError(f'category {number} has the id or the name of another')
            self.names[label][key] = name
        image_ids = {}
        for number, entry in enumerate(images, start=1):
            where = f'image {number}'
            key = _field(entry, 'id', KEY, where)
            image_id = self._find_image(_field(entry, 'file_name', str, where), label)
            if key in image_ids or image_id in self.entries:
                raise LabelError(f'{where}, {image_id}, has the id or the name of another')
            image_ids[key] = image_id
            self.entries[image_id] = label, entry, []
        for number, entry in enumerate(annotations, start=1):
            where = f'annotation {number}'
            for field, known in (('image_id', image_ids), ('category_id', self.names[label])):
                if _field(entry, field, KEY, where) not in known:
                    raise LabelError(f'{where} has an unknown {field}, {entry[field]!r}; remove or '
                                     'mend it')
            self.entries[image_ids[entry['image_id']]][2].append(entry)
        return list(image_ids.values())

    def _find_image(self, name: str, label: str) -> str:
        """Returns the path of an image; where there is none, the name, which is noted."""
        try:
            return self.files.image_named(relative_name(name), label)
        except LabelError as error:
            self.troubles[name] = str(error)
        except ValueError as error:
            self.troubles[name] = f'{label}: {error}'
        return name

    def read(self, image_id: str) -> Record:
        """See :meth:`Reader.read`."""
        if image_id in self.troubles:
            raise LabelError(self.troubles[image_id])
        if image_id not in self.entries:
            raise LabelError(f'{image_id}: is listed, but no json knows it')
        label, image, annotations = self.entries[image_id]
        where = f'{label}, {image_id}'
        boxes = []
        for number, entry in enumerate(annotations, start=1):
            listed = entry.get('bbox')
            if not (isinstance(listed, list) and len(listed) == 4
                    and all(type(value) in NUMBER and abs(value) < 1e9 for value in listed)):
                raise LabelError(f'{where}: object {number} needs four numbers as bbox, '
                                 f'not {str(listed)[:80]}')
            x, y, width, height = listed
            boxes.append(Box(self.names[label][entry['category_id']],
                             (x, y, x + width, y + height), tuple(listed),
                             bool(entry.get('iscrowd'))))
        size = read_image_size(self.root, image_id)
        listed = image.get('width'), image.get('height')
        return Record(image_id, where, *size, boxes,
                      size_finding(where, None if None in listed else listed, image_id, size))


def _field(entry: Any, field: str, kind: Any, where: str) -> Any:
    value = entry.get(field) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise LabelError(f'{where} has no usable "{field}"')
    return value

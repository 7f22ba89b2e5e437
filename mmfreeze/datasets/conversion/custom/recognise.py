"""Which format a folder holds."""
from pathlib import Path
from typing import Dict, Optional, Sequence, Type, Union

from ..record import ConversionError, Reader
from .coco import COCOFolderReader
from .files import FolderFiles
from .voc import VOCFolderReader
from .yolo import YOLOFolderReader, yolo_labels

FORMATS: Dict[str, Type[Reader]] = dict(voc=VOCFolderReader, yolo=YOLOFolderReader,
                                        coco=COCOFolderReader)


def open_folder(root: Union[str, Path], out_dir: Union[str, Path], kind: Optional[str] = None,
                classes: Optional[Sequence[str]] = None, lists: Optional[Path] = None,
                seed: int = 0) -> Reader:
    """Opens any folder of images with VOC, YOLO or COCO labels.

    Args:
        root: The folder.
        out_dir: The folder of the output, which is not looked into.
        kind: One of ``FORMATS``; None to recognise it.
        classes: The class names; None for those of the labels.
        lists: The folder of the lists of images; None for the usual places.
        seed: What the split is drawn from if there are no lists.

    Raises:
        ConversionError: If the format cannot be told, or something does not fit together.
    """
    files = FolderFiles(Path(root), Path(out_dir))
    found = dict(voc=files.with_suffix('.xml'), yolo=yolo_labels(files),
                 coco=files.with_suffix('.json'))
    kinds = [name for name, labels in found.items() if labels]
    if kind is None and len(kinds) > 1:
        raise ConversionError(f'{root}: has labels of several formats, '
                              f'{", ".join(found[name][0] for name in kinds)}; '
                              f'choose one: --format {{{",".join(kinds)}}}')
    if not (found[kind] if kind else kinds):
        raise ConversionError(f'{root}: has no {kind or "VOC, YOLO or COCO"} labels that go with '
                              f'an image ({out_dir} is not looked into)')
    reader = FORMATS[kind or kinds[0]](files, classes, lists, seed)
    if not reader.classes:
        raise ConversionError(f'{root}: no label has an object, so there is no class')
    twice = sorted({name for name in reader.classes if list(reader.classes).count(name) > 1})
    if twice:
        raise ConversionError(f'{root}: class {", ".join(twice)} is named twice; name each once')
    return reader

"""Which images of a folder train and which test: its lists, its folders' names, or a seed."""
import re
from pathlib import Path, PurePosixPath
from typing import Dict, List, NamedTuple, Optional, Sequence

from ..reading import read_id_list
from ..record import ConversionError, LabelError
from ..split import seeded_split
from .files import FolderFiles

WORDS = dict(train='train', training='train', trainval='train', val='val', valid='val',
             validation='val', test='test', testing='test')
LIST_FOLDERS = ('', 'ImageSets/Main', 'ImageSets')
LISTS = ('train.txt', 'val.txt', 'test.txt', 'trainval.txt')


class FolderSplits(NamedTuple):
    """Splits of a folder.

    Attributes:
        splits: The ids of ``train`` and of ``val`` or ``test`` or both.
        troubles: What is wrong with ids that mean no image, by id.
    """
    splits: Dict[str, List[str]]
    troubles: Dict[str, str]


def split_of(path: str) -> Optional[str]:
    """Returns the split that a word of a path names (``images/train2017``), or None."""
    words = re.split('[^a-z]+', path.lower())
    return next((WORDS[word] for word in words if word in WORDS), None)


def check_splits(splits: Dict[str, List[str]], where: Path) -> None:
    """Raises :class:`ConversionError` unless there is a split to train and one to test with."""
    if not (splits.get('train') and (splits.get('val') or splits.get('test'))):
        raise ConversionError(f'{where}: only {", ".join(splits)}; training needs train and val or '
                              'test, none of them empty')


def find_splits(files: FolderFiles, ids: Sequence[str], lists: Optional[Path],
                seed: int) -> FolderSplits:
    """Divides the images of a folder.

    By lists such as ``train.txt``, else by folders such as ``images/train``, else 75/25 within
    each folder by a seed.

    Args:
        files: The folder.
        ids: The paths of its images, and of label files that have none.
        lists: The folder of the lists; None for the usual places.
        seed: Another seed gives another split.

    Raises:
        ConversionError: If the lists or folders have nothing to train or to test with.
    """
    splits: Dict[str, List[str]] = {}
    troubles: Dict[str, str] = {}
    for path in _find_lists(files.root, lists):
        named = splits.setdefault(WORDS[path.stem], [])
        for entry in read_id_list(path):
            try:
                named.append(files.image_named(entry, path.name))
            except LabelError as error:
                named.append(f'{path.name}: {entry}')
                troubles[named[-1]] = str(error)
    if splits:
        check_splits(splits, lists or files.root)
    else:
        for image_id in ids:
            name = split_of(PurePosixPath(image_id).parent.as_posix())
            if name:
                splits.setdefault(name, []).append(image_id)
        if not ('train' in splits and len(splits) > 1):
            splits = seeded_split(ids, seed, group=lambda path: path.rpartition('/')[0])
            check_splits(splits, files.root)
    return FolderSplits(splits, troubles)


def _find_lists(root: Path, lists: Optional[Path]) -> List[Path]:
    folders = [lists] if lists else [root / name for name in LIST_FOLDERS]
    for folder in folders:
        *parts, whole = (folder / name for name in LISTS)
        found = [path for path in parts if path.is_file()]
        if whole.is_file() and not any(path.stem == 'train' for path in found):
            found.append(whole)
        if found:
            return found
    if lists:
        raise ConversionError(f'{lists}: neither train.txt nor val.txt nor test.txt is there')
    return []

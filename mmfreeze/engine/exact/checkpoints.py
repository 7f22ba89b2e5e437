"""Which checkpoint a run can go on from."""
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import List, Optional, Tuple

# The best results, and what MMEngine publishes, have no optimizer state.
NO_CHECKPOINT = re.compile(r'best_.*|.*-[0-9a-f]{8}\.pth$')


def find_last_whole_checkpoint(work_dir: Path) -> Tuple[Optional[Path], List[Path]]:
    """Finds the newest checkpoint of a run that is not damaged.

    Args:
        work_dir (Path): The run's folder.

    Returns:
        tuple: The checkpoint, which is None if the run has none yet, and the damaged ones that
        are newer.

    Raises:
        ValueError: There are checkpoints, and all of them are damaged; or there should be one.
    """
    note = work_dir / 'last_checkpoint'
    noted = note.read_text().strip() if note.is_file() else ''
    # In the folder itself first: a copy of a run is a run of its own.
    places = [work_dir / Path(noted).name, Path(noted)] if noted else []
    last = next((path for path in places if path.is_file()), None)
    folder = work_dir if last is None else last.parent
    found = [path for path in folder.glob('*.pth') if not NO_CHECKPOINT.match(path.name)]
    if noted and not found:
        raise ValueError(f'{note} names {noted}, which is not there; remove {note} to start anew')
    candidates = sorted(found, key=lambda path: (path == last, path.stat().st_mtime), reverse=True)
    damaged = []
    for path in candidates:
        if is_whole(path):
            return path, damaged
        damaged.append(path)
    if damaged:
        raise ValueError(f'every checkpoint in {folder} is damaged or truncated: '
                         f'{", ".join(path.name for path in damaged)}; remove them to start anew')
    return None, damaged


def require_whole_checkpoint(path: Path) -> None:
    """Checks a checkpoint on this machine.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    if not is_whole(path):
        raise ValueError(f'{path} is damaged or truncated; resume from an earlier checkpoint '
                         '(--resume without a path finds the last whole one)')


def is_whole(path: Path) -> bool:
    """Whether a file of ``torch.save`` is complete, by the checksums that it holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    # The others come of damage to what the archive says of its members.
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, ValueError, zlib.error,
            struct.error):
        return False

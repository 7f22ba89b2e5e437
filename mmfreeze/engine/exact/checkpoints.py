"""Which checkpoint a run can go on from."""
import zipfile
from pathlib import Path
from typing import List, Optional, Tuple


def find_last_whole_checkpoint(work_dir: Path) -> Tuple[Optional[Path], List[Path]]:
    """Finds the newest checkpoint of a run that is not damaged.

    Args:
        work_dir (Path): The run's folder.

    Returns:
        tuple: The checkpoint, which is None if the run has none yet, and the damaged ones that
        are newer.

    Raises:
        ValueError: There are checkpoints, and all of them are damaged.
    """
    note = work_dir / 'last_checkpoint'
    last = Path(note.read_text().strip()) if note.is_file() else None
    folder = last.parent if last is not None and last.is_file() else work_dir
    candidates = sorted((path for path in folder.glob('*.pth') if not path.name.startswith('best_')),
                        key=lambda path: (path == last, path.stat().st_mtime), reverse=True)
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
    except (zipfile.BadZipFile, OSError):
        return False

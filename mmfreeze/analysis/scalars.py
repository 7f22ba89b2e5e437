"""The scalars that MMEngine logs into a work dir, start by start."""
import json
from pathlib import Path
from typing import Any, Dict, List


def starts(work_dir: Path) -> List[Path]:
    """The folders that MMEngine made for the starts of a run, oldest first.

    Starts of tests and inference, which share a work dir with a training, log no scalars and are
    not among them.

    Args:
        work_dir (Path): The run's work dir.
    """
    # Their names are dates and times, so that they sort by time.
    return sorted(path.parents[1] for path in work_dir.glob('*/vis_data/scalars.json'))


def read_scalars(start: Path) -> List[Dict[str, Any]]:
    """What one start logged, line by line.

    Args:
        start (Path): One of :func:`starts`.

    Raises:
        ValueError: A line is none of such a log.
    """
    path = start / 'vis_data/scalars.json'
    # A killed process may have left the last line half written.
    lines = [line for line in path.read_text().splitlines() if line.endswith('}')]
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise ValueError(f'{path} is not a log of scalars: {error}') from error

"""What a run ran on, from its log."""
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from ..scalars import starts

# MMEngine writes it at each start of a run, between two lines of dashes (``Runner._log_env``).
SECTION = re.compile(r'^System environment:\n(.*?)^-{60}', re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r'^ {4}(\S[^:\n]*): (.*)$', re.MULTILINE)
# Whose value is many lines of compiler flags.
LEFT_OUT = ('PyTorch compiling details', )


class Property(NamedTuple):
    """A line of the environment.

    Args:
        name (str): What MMEngine calls it, such as ``PyTorch``.
        values (list[tuple[str, list[str]]]): Each different value with the names of the runs that
            logged it; one value alone is that of all runs.
    """
    name: str
    values: List[Tuple[str, List[str]]]


def read_environment(work_dir: Path) -> Dict[str, str]:
    """Reads what MMEngine wrote about the machine and its software.

    Args:
        work_dir (Path): The run's folder.

    Returns:
        dict[str, str]: In the order of the log of the newest start of training; empty if there is
        no log, or none of it in there (``log_level='WARNING'``).
    """
    log = next((start / f'{start.name}.log' for start in reversed(starts(work_dir))), None)
    if log is None or not log.is_file():
        return {}
    section = SECTION.search(log.read_text(errors='replace'))
    entries = ENTRY.findall(section[1]) if section else []
    return {name: value for name, value in entries if name not in LEFT_OUT}


def merge_environments(environments: Dict[str, Dict[str, str]]) -> List[Property]:
    """Says once what is the same for all runs.

    Args:
        environments (dict[str, dict[str, str]]): By the names of the runs what
            :func:`read_environment` gave for them.

    Returns:
        list[Property]: In the order of the first run that has each.
    """
    merged = []
    for name in dict.fromkeys(name for found in environments.values() for name in found):
        runs_by_value: Dict[str, List[str]] = {}
        for run, found in environments.items():
            runs_by_value.setdefault(found.get(name, 'not logged'), []).append(run)
        merged.append(Property(name, list(runs_by_value.items())))
    return merged

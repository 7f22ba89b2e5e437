"""How much memory a store may take."""
import os
from pathlib import Path
from typing import Iterator

import mmengine.dist as dist

# Of control groups' first and second version: where they lie, their limit, what counts against it,
# and which line of their statistics tells what of that the kernel gives back by itself.
V1 = ('/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.usage_in_bytes',
      'total_inactive_file')
V2 = ('/sys/fs/cgroup', 'memory.max', 'memory.current', 'inactive_file')


def free_memory(root: Path = Path('/')) -> int:
    """This process's share of the bytes that can be had without swapping, as Linux estimates.

    A job's own limit (a container's, Slurm's) counts, if it is lower than what the machine has.

    Args:
        root (Path): Of the file system. Defaults to '/'.
    """
    lines = dict(line.split(':') for line in (root / 'proc/meminfo').read_text().splitlines())
    free = min([int(lines['MemAvailable'].split()[0]) * 1024, *_left_to_the_job(root)])
    return max(0, free) // int(os.environ.get('LOCAL_WORLD_SIZE', dist.get_world_size()))


def _left_to_the_job(root: Path) -> Iterator[int]:
    """What the control groups of this process, and those around them, still allow."""
    groups = root / 'proc/self/cgroup'
    for line in groups.read_text().splitlines() if groups.is_file() else ():
        _, controllers, path = line.split(':', 2)
        if controllers and 'memory' not in controllers.split(','):
            continue
        top, limit, usage, spare = V1 if controllers else V2
        top = root / top[1:]
        inner = top / path[1:]
        # Within a container the path may be one of the host's, of which only the top is seen here.
        for folder in (inner, *inner.parents):
            try:
                stat = dict(line.split() for line in
                            (folder / 'memory.stat').read_text().splitlines())
                yield (int((folder / limit).read_text()) - int((folder / usage).read_text())
                       + int(stat[spare]))
            except (OSError, ValueError, KeyError):  # none is set here
                pass
            if folder == top:
                break

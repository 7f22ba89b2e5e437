"""Runs the trainings of a protocol, each in a process of its own."""
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from resource import struct_rusage
from typing import Iterator, Optional, Sequence, Set

import torch

from mmfreeze.analysis.scalars import read_scalars, starts

from .part import Part

SHOWN_LINES = 8


class TrainingFailed(RuntimeError):
    """A training did not come to its end.

    Args:
        message (str): Which one, and how it ended.
        lines (Sequence[str]): The last ones that it printed. Defaults to none.
    """

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.lines = lines


class Trainer:
    """Starts the program that trains, and waits for it.

    The processes are no part of the terminal's group, so Ctrl-C reaches the protocol alone, which
    then asks the trainings to stop; they do so with a checkpoint.

    Args:
        program (Path): ``tools/train.py``.
        out (Path): The protocol's folder, in which one protocol at a time may train.
        jobs (int): How many trainings may run at a time, each in a thread of this process that
            calls :meth:`train`. They share the threads that torch would take. Defaults to 1.

    Raises:
        ValueError: ``jobs`` is no such number here.
    """

    def __init__(self, program: Path, out: Path, jobs: int = 1) -> None:
        if jobs < 1:
            raise ValueError(f'--jobs must be at least 1, but is {jobs}')
        if jobs > 1 and torch.cuda.is_available():
            raise ValueError(f'--jobs {jobs}: trainings would share a CUDA device and slow each '
                             'other; leave it at 1')
        self.program, self.out, self.jobs = program, out, jobs
        self._running: Set[int] = set()  # process ids
        self._stopped = False
        self._lock: Optional[int] = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the folder.

        Raises:
            ValueError: Somebody else does: another protocol, or a training that one left behind.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with open(self.out / '.lock', 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f'{self.out} is in use by another protocol, or by a training that '
                                 'one left behind when it was killed: wait for it, or end it'
                                 ) from None
            self._lock = file.fileno()
            yield

    def train(self, part: Part) -> None:
        """Trains a part to its end, from wherever it stands. To be called within :meth:`alone`.

        Raises:
            TrainingFailed: It ended in another way.
        """
        part.write_config()
        part.begin_attempt(device(self.jobs))
        command = [sys.executable, self.program, part.config, '--work-dir', part.work_dir,
                   '--resume']
        with open(part.log, 'ab') as log:
            # The training inherits the lock: should the protocol be killed, it goes on to hold it.
            process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, pass_fds=(self._lock, ),
                env=dict(os.environ, OMP_NUM_THREADS=str(_threads(self.jobs))))
        self._running.add(process.pid)
        if self._stopped:  # while this one began
            self._signal(signal.SIGTERM)
        usage = _wait(process)
        self._running.remove(process.pid)
        _note_memory(part, usage)
        if process.returncode or not part.done:
            how = (f'ended with status {process.returncode}' if process.returncode else
                   'ended before its last epoch was trained and validated')
            lines = part.log.read_text(errors='replace').rstrip().splitlines()
            raise TrainingFailed(f'{part.work_dir} {how}; all that it printed is in {part.log}',
                                 lines[-SHOWN_LINES:])

    def stop(self) -> None:
        """Asks what is running to stop, which it does with a checkpoint."""
        self._stopped = True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends what is running at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # Popen's own methods would look after the process, for which another thread waits.
        for pid in list(self._running):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def device(jobs: int = 1) -> str:
    """What each of some processes that this one starts trains on, in words.

    Args:
        jobs (int): How many run at a time. Defaults to 1.
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = _threads(jobs)
    return (f'CPU, {threads} thread{"s" * (threads > 1)}'
            + f', {jobs} trainings at a time' * (jobs > 1))


def logged_memory(work_dir: Path) -> Optional[int]:
    """The peak of the device's memory that a training logged, in bytes; None on a CPU."""
    peaks = [line.get('memory', 0) for start in starts(work_dir) for line in read_scalars(start)]
    return max(peaks, default=0) * 2**20 or None


def _note_memory(part: Part, usage: struct_rusage) -> None:
    # Linux lets a process begin with the peak of the one that starts it. A training exceeds that
    # of this one, which imports the same and computes nothing.
    on_device = logged_memory(part.work_dir)
    if on_device is None:
        part.end_attempt(usage.ru_maxrss * 1024, 'the process')
    else:
        part.end_attempt(on_device, 'the device')


def _wait(process: subprocess.Popen) -> struct_rusage:
    """Waits for a process and returns what it used, its own children included."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _threads(jobs: int) -> int:
    """The share of each of some processes in the threads that torch would take."""
    return max(1, torch.get_num_threads() // jobs)

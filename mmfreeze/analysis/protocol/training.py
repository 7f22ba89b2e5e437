"""Runs the trainings of a protocol, each in a process of its own."""
import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from resource import struct_rusage
from typing import Iterator, Optional, Sequence

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
    then asks the training to stop; it does so with a checkpoint.

    Args:
        program (Path): ``tools/train.py``.
        out (Path): The protocol's folder, in which one protocol at a time may train.
    """

    def __init__(self, program: Path, out: Path) -> None:
        self.program, self.out = program, out
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
        part.begin_attempt(device())
        command = [sys.executable, self.program, part.config, '--work-dir', part.work_dir,
                   '--resume']
        with open(part.log, 'ab') as log:
            # The training inherits the lock: should the protocol be killed, it goes on to hold it.
            process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, pass_fds=(self._lock, ))
        try:
            _note_memory(part, _wait(process))
        except KeyboardInterrupt:
            print('the training was asked to stop, which it does with a checkpoint; Ctrl-C once '
                  'more kills it', file=sys.stderr)
            process.terminate()
            try:
                _note_memory(part, _wait(process))
            except KeyboardInterrupt:  # a second time
                process.kill()
                _wait(process)
            raise
        if process.returncode or not part.done:
            how = (f'ended with status {process.returncode}' if process.returncode else
                   'ended before its last epoch was trained and validated')
            lines = part.log.read_text(errors='replace').rstrip().splitlines()
            raise TrainingFailed(f'{part.work_dir} {how}; all that it printed is in {part.log}',
                                 lines[-SHOWN_LINES:])


def device() -> str:
    """What this process and those that it starts train on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'CPU, {torch.get_num_threads()} threads'


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


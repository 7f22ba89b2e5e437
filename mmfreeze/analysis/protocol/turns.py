"""Which parts of a protocol wait, run, failed or were left out."""
from concurrent.futures import Future
from typing import Dict, List, Optional, Sequence, Tuple

from .rows import Row

# What stands before its lines, a row, a seed.
Turn = Tuple[str, Row, int]


class Turns:
    """The parts of a protocol while it runs.

    Args:
        waiting (Sequence[Turn]): All of them, in the order in which they are to begin.

    Attributes:
        running (dict[Future, Turn]): Those that are being trained.
        failed (list[str]): Those that did not come to their end, in words.
        left_out (list[str]): Those that needed one of them.
    """

    def __init__(self, waiting: Sequence[Turn]) -> None:
        self.waiting = list(waiting)
        self.running: Dict[Future, Turn] = {}
        self.failed: List[str] = []
        self.left_out: List[str] = []

    def next(self) -> Optional[Turn]:
        """Takes the first waiting part whose needs neither wait nor run; None if there is none."""
        pending = {(row.name, seed) for _, row, seed in (*self.waiting, *self.running.values())}
        for turn in self.waiting:
            _, row, seed = turn
            if not any((name, seed) in pending for name in row.needs):
                self.waiting.remove(turn)
                return turn
        return None

"""The course of a run under a policy: frozen layers, seconds, FLOPs, pass by pass."""
from dataclasses import dataclass
from itertools import groupby
from typing import List, Optional, Sequence, Tuple

from mmfreeze.freezing.saving import iteration_flops

from .length import Length
from .measured import Measured


@dataclass(frozen=True)
class Course:
    """What is predicted of a run.

    Args:
        frozen (list[int]): Layers frozen at the end of each pass.
        seconds (list[float]): Of each pass, fillings of a store included, validation apart.
        fill_seconds (float): Of all fillings.
        flops (float): Of the run, forward and backward, fillings included.
        stored (list[int]): Layers behind which features are stored at the end of each pass.
        memory (tuple[float, float]): Bytes at most, and in the last iteration; with the store, if
            it is in memory, and at most with both generations of it while it moves.
    """
    frozen: List[int]
    seconds: List[float]
    fill_seconds: float
    flops: float
    stored: List[int]
    memory: Tuple[float, float]

    @property
    def total(self) -> float:
        """Seconds of the run."""
        return sum(self.seconds)


def course_of(measured: Measured, length: Length, trajectory: Sequence[int],
              when: Optional[str] = None, free_fill: bool = False) -> Course:
    """Reckons a run.

    Views are counted as expected: of K views of a sample, (1 - 1/K)^j are still to be computed
    after j passes, and R more passes will show 1 - (1 - 1/K)^R of them.

    Args:
        measured (Measured): What was measured.
        length (Length): How long the run is.
        trajectory (Sequence[int]): Number of frozen layers in each epoch or iteration, as
            :func:`~mmfreeze.freezing.saving.predicted_trajectory` gives it.
        when (str, optional): Of the store: ``'always'`` or ``'auto'``. Defaults to None: no store.
        free_fill (bool): Whether filling it takes no time and no FLOPs. Defaults to False.

    Returns:
        Course: The prediction.
    """
    each = length.max_iters // len(trajectory)
    frozen = [n for n in trajectory for _ in range(each)]
    prefix = None if when is None else _Prefix(measured, length, when)
    store = measured.store
    in_memory = 0 if store is None else store.memory
    ends, seconds, stored, memory = [], [], [], []
    filling = flops = 0.
    for number in range(length.passes):
        spent = fill = 0.
        begin = number * length.iterations
        for n, run in groupby(frozen[begin:begin + length.iterations]):
            # Images say more than iterations: the last one of a pass may be partly filled.
            images = len(list(run)) * length.samples / length.iterations
            behind = generations = 0
            if prefix is not None:
                fill_seconds, fill_flops = prefix.follow(n, number)
                if not free_fill:
                    fill, flops = fill + fill_seconds, flops + fill_flops
                behind, generations = prefix.behind, prefix.generations
            spent += images / measured.batch_size * measured.iteration(n, behind)
            flops += images * (iteration_flops(measured.layers, n)
                               - sum(measured.layers.forward[:behind]))
            memory.append(measured.peak(n) + generations * in_memory)
        ends.append(n)
        seconds.append(spent + fill)
        stored.append(behind)
        filling += fill
    seconds[0] += measured.first
    if prefix is not None:  # 'always' tries a boundary out, but measures nothing
        seconds[0] += store.setup if when == 'auto' else store.move
    last = measured.peak(n) + (in_memory if behind else 0)
    return Course(ends, seconds, filling, flops, stored, (max(memory), last))


class _Prefix:
    """What ``StoredPrefix`` would do, and what that would cost.

    Attributes:
        behind (int): Layers behind which features are stored.
        generations (int): How many of them there were at once, since iterations were looked at.
    """

    def __init__(self, measured: Measured, length: Length, when: str) -> None:
        self.behind = self.generations = 0
        self._measured, self._length, self._when = measured, length, when
        self._views = measured.store.costs.views
        self._tried = 0
        # Passes whose views are stored, and the last of them.
        self._filled, self._last = 0, -1

    def follow(self, num_frozen: int, number: int) -> Tuple[float, float]:
        """Seconds and FLOPs of what happens to the store before iterations of a pass."""
        seconds = flops = 0.
        self.generations = int(self.behind > 0)
        if num_frozen > self._tried:
            self._tried = num_frozen
            if self._pays(num_frozen, number):
                seconds, flops = self._move(num_frozen, number)
        if self.behind and self._last < number:
            lacking = self._length.samples * self._unseen(self._filled)
            seconds += lacking * self._measured.filling(self.behind)
            flops += lacking * sum(self._measured.layers.forward[:self.behind])
            self._filled, self._last = self._filled + 1, number
        return seconds, flops

    def _pays(self, num_frozen: int, number: int) -> bool:
        plain, anew = self._measured.store.costs.seconds(
            num_frozen, self._length.passes - number, self.behind)
        return self._when == 'always' or anew < plain

    def _move(self, num_frozen: int, number: int) -> Tuple[float, float]:
        """Computes what is stored, and shown again, behind more layers."""
        before, self.behind = self.behind, num_frozen
        store, measured = self._measured.store, self._measured
        if not before or 2 * store.nbytes > store.room:  # what was there goes, to make room
            self._filled, self._last, self.generations = 0, -1, 1
            return store.move, 0.
        self.generations = 2
        # Of each sample the view that the running pass shows is certainly there and wanted, if the
        # pass is filled already; the others by what the other passes showed and will show.
        shown = int(self._last == number)
        again = self._length.samples * (shown + (self._views - shown)
                                        * (1 - self._unseen(self._filled - shown))
                                        * (1 - self._unseen(self._length.passes - number - shown)))
        return (store.move + again * (store.costs.read + sum(measured.forward[before:num_frozen])
                                      + store.costs.write),
                again * sum(measured.layers.forward[before:num_frozen]))

    def _unseen(self, passes: int) -> float:
        """Share of the views that so many passes do not show."""
        return (1 - 1 / self._views) ** passes

"""What one part of a protocol comes to, in numbers."""
from dataclasses import dataclass
from statistics import mean
from typing import Any, Dict, List, Optional, Sequence, Tuple

from mmfreeze.analysis.tables import DETECTION, shown_epochs
from mmfreeze.analysis.timeline import RunRecord
from mmfreeze.freezing.saving import iteration_flops

from .costs import TrainingCosts


@dataclass(frozen=True)
class Figures:
    """The figures of a part.

    Args:
        row (str): Name of its row.
        seed (int): Its seed.
        policy (str): Type of its policy.
        seconds (list[float]): Training of each epoch, validation apart.
        frozen (list[int]): Layers that were frozen at the end of each epoch.
        states (list[tuple[int, int]]): The same, with the number of layers behind which features
            were stored then.
        ended (list[float | None]): When each epoch ended, in seconds since 1970, if it is recorded.
        validations (list[tuple[float, float]]): Seconds of training before each validation, and
            its AP50.
        metrics (dict[str, float]): AP, AP50 and AR@10 of the last validation, where they are known.
        flops (float): Of all training iterations, filling a store included.
        flops_of_ceiling (float): The same, if frozen layers ran neither forward nor backward and
            filling were free.
        fill_flops (float): Of the recorded fillings alone.
        fill_seconds (float): Likewise; they are part of ``seconds``.
        peak_memory (int, optional): In bytes.
        memory_of (str, optional): What that was measured of.
        attempts (int): Processes that it took; 1 if nothing interrupted it.
        device (str, optional): What it was trained on.
    """
    row: str
    seed: int
    policy: str
    seconds: List[float]
    frozen: List[int]
    states: List[Tuple[int, int]]
    ended: List[Optional[float]]
    validations: List[Tuple[float, float]]
    metrics: Dict[str, float]
    flops: float
    flops_of_ceiling: float
    fill_flops: float
    fill_seconds: float
    peak_memory: Optional[int]
    memory_of: Optional[str]
    attempts: int
    device: Optional[str]

    @property
    def total(self) -> float:
        """Seconds of the whole training."""
        return sum(self.seconds)

    @property
    def shown_epochs(self) -> Tuple[float, float, float]:
        """Seconds of the epochs 1, 31 and 61 of 65; of others, the first, middle and last one."""
        first, middle, last = shown_epochs(len(self.seconds))
        return self.seconds[first - 1], self.seconds[middle - 1], self.seconds[last - 1]

    def columns(self, base: 'Figures') -> List[Optional[float]]:
        """The numbers of a table's line.

        Args:
            base (Figures): Those of ``base`` with the same seed.

        Returns:
            list[float | None]: Epochs; seconds of three epochs, their mean, their total; AR@10,
            AP50, AP; speed-up; peak memory in MB; FLOPs as share of those of ``base``.
        """
        memory = None if self.peak_memory is None else self.peak_memory / 1e6
        return [len(self.seconds), *self.shown_epochs, mean(self.seconds), self.total,
                *map(self.metrics.get, reversed(DETECTION)), base.total / self.total, memory,
                self.flops / base.flops]

    def ceilings(self, base: 'Figures') -> Tuple[float, float]:
        """Speed-ups that the FLOPs of the run's own course would allow.

        Args:
            base (Figures): Those of ``base`` with the same seed.

        Returns:
            tuple[float, float]: If forward and backward of frozen layers were free from their
            freezing on, and filling the store too; and if the recorded fillings are paid.
        """
        return (base.flops / self.flops_of_ceiling,
                base.flops / (self.flops_of_ceiling + self.fill_flops))


def figures_of(row: str, seed: int, record: RunRecord, facts: Dict[str, Any],
               costs: TrainingCosts) -> Figures:
    """Reads the figures of a finished part.

    Args:
        row (str): Name of its row.
        seed (int): Its seed.
        record (RunRecord): What it recorded.
        facts (dict): What was measured from outside, see :attr:`Part.facts`.
        costs (TrainingCosts): Of its model and data.

    Returns:
        Figures: The figures.
    """
    seconds = [epoch['train_seconds'] for epoch in record.epochs]
    validations = [(sum(seconds[:v['epoch']]), record.metrics(v['epoch'])[DETECTION['AP50']])
                   for v in record.validations
                   if DETECTION['AP50'] in record.metrics(v['epoch'])]
    metrics = record.metrics()
    spent, ceiling, fills = _flops(record, costs)
    unit = _iterations_of_an_epoch(record)
    stored = _stored(record, unit * len(seconds))[unit - 1::unit]
    return Figures(
        row=row, seed=seed, policy=record.policy['type'], seconds=seconds,
        frozen=[epoch['num_frozen'] for epoch in record.epochs],
        states=[(epoch['num_frozen'], behind) for epoch, behind in zip(record.epochs, stored)],
        ended=[epoch.get('ended') for epoch in record.epochs], validations=validations,
        metrics={name: metrics[key] for name, key in DETECTION.items() if key in metrics},
        flops=spent + fills, flops_of_ceiling=ceiling, fill_flops=fills,
        fill_seconds=sum(fill['seconds'] for fill in record.fills),
        peak_memory=facts.get('peak_memory'), memory_of=facts.get('memory_of'),
        attempts=facts.get('attempts', 1), device=facts.get('device'))


def _flops(record: RunRecord, costs: TrainingCosts) -> Tuple[float, float, float]:
    """FLOPs of a run's iterations, of the same with frozen layers free, and of its fillings.

    A store takes the forward pass of the layers that it was last filled behind, which may be fewer
    than are frozen.
    """
    unit = _iterations_of_an_epoch(record)
    iterations = unit * len(record.epochs)
    frozen = _course([(d['iteration'], d['num_frozen']) for d in record.decisions], iterations)
    stored = _stored(record, iterations)
    layers = costs.layers
    images = costs.images / unit
    spent = images * sum(iteration_flops(layers, n) - sum(layers.forward[:behind])
                         for n, behind in zip(frozen, stored))
    ceiling = images * sum(iteration_flops(layers, n, stored=True) for n in frozen)
    fills = sum(fill['samples'] * sum(layers.forward[fill['from_layer']:fill['to_layer']])
                for fill in record.fills)
    return spent, ceiling, fills


def _iterations_of_an_epoch(record: RunRecord) -> int:
    last = record.validations[-1]
    return last['iteration'] // last['epoch']


def _stored(record: RunRecord, iterations: int) -> List[int]:
    """Layers behind which features were stored in each iteration."""
    return _course([(f['iteration'], f['to_layer']) for f in record.fills], iterations)


def _course(changes: Sequence[Tuple[int, int]], iterations: int) -> List[int]:
    """The number that holds in each iteration, from when it changed."""
    course = [0] * iterations
    for iteration, number in changes:
        course[iteration:] = [number] * (iterations - iteration)
    return course

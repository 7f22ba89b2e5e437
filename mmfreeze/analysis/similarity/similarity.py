"""What a comparison of a run's checkpoints found, and what follows for a policy."""
from bisect import bisect_right
from dataclasses import dataclass
from typing import List, Optional

from ..timeline import RunRecord


@dataclass(frozen=True)
class Freezing:
    """When a run froze which layer.

    Args:
        run (str): Name of the run.
        policy (str): Type of its policy.
        after (list[int, optional]): Epochs (or iterations) completed when each layer froze; None
            if it never did.
        own (bool): Whether it is the run whose checkpoints are compared.
    """
    run: str
    policy: str
    after: List[Optional[int]]
    own: bool

    @classmethod
    def of(cls, record: RunRecord, unit: str, layers: List[List[str]], own: bool) -> 'Freezing':
        """Reads a run's record.

        Args:
            record (RunRecord): The record.
            unit (str): ``'epoch'`` or ``'iteration'``.
            layers (list[list[str]]): Names of the layers that are compared.
            own (bool): See the class.

        Returns:
            Freezing: When it froze what.

        Raises:
            ValueError: It is of other layers.
        """
        if record.layers != layers:
            raise ValueError(f'{record.name} was trained with {len(record.layers)} layers that are '
                             f'not the {len(layers)} of the config; give the config of that run')
        after = [next((decision[unit] for decision in record.decisions
                       if decision['num_frozen'] > layer), None) for layer in range(len(layers))]
        return cls(record.name, record.policy['type'], after, own)


@dataclass(frozen=True)
class Similarity:
    """Linear CKA of layers between checkpoints and the last one of them.

    Args:
        layers (list[list[str]]): Names of the layers, input first.
        files (list[str]): The checkpoints, in the order of training.
        unit (str): ``'epoch'`` or ``'iteration'``: what their times are counted in.
        times (list[int]): The time of each checkpoint, rising.
        cka (list[list[float, optional]]): Of each layer that of each checkpoint; None where the
            layer gives the same for all images.
        threshold (float): From which CKA on a layer counts as settled.
        images (int): Number of images.
        minibatches (int): In how many parts they were compared.
        freezing (Freezing, optional): The run whose freezing is judged.
    """
    layers: List[List[str]]
    files: List[str]
    unit: str
    times: List[int]
    cka: List[List[Optional[float]]]
    threshold: float
    images: int
    minibatches: int
    freezing: Optional[Freezing] = None

    def settled(self, layer: int) -> Optional[int]:
        """The first checkpoint from which on a layer's CKA stays at or above the threshold.

        Args:
            layer (int): The layer.

        Returns:
            int, optional: Its index; None if even the last one is below, because it has no CKA.
        """
        first = None
        for index in reversed(range(len(self.times))):
            value = self.cka[layer][index]
            if value is None or value < self.threshold:
                break
            first = index
        return first

    def last_before(self, time: int) -> Optional[int]:
        """Index of the last checkpoint at a time or before it; None if all are later."""
        return bisect_right(self.times, time) - 1 if time >= self.times[0] else None

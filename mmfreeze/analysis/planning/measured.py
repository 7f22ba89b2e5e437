"""What was measured of a training before it began, and what follows for a single iteration."""
from dataclasses import dataclass
from typing import List, Optional

import numpy as np

from mmfreeze.engine.store_costs import StoreCosts
from mmfreeze.freezing.cost import LayerCosts


@dataclass(frozen=True)
class MeasuredStore:
    """What the frozen-feature store takes.

    Args:
        costs (StoreCosts): By which ``when='auto'`` decides.
        load_bare (float, optional): Seconds to load a stored image, without its pixels; None if it
            is loaded all the same.
        setup (float): Seconds that ``when='auto'`` takes before the first epoch, once.
        move (float): Seconds to try a boundary out, each time that layers freeze; ``'always'``
            takes as long before the first epoch.
        nbytes (int): What all views of all images take behind half of the layers.
        room (int): Bytes that it may take.
        on_disk (bool): Whether it is there instead of in memory.
        beside (bool): Whether it is in the memory of the host, while the model is in that of a
            device. Defaults to False.
    """
    costs: StoreCosts
    load_bare: Optional[float]
    setup: float
    move: float
    nbytes: int
    room: int
    on_disk: bool = False
    beside: bool = False

    @property
    def memory(self) -> int:
        """Bytes that it takes of the memory in which the model is."""
        return 0 if self.on_disk or self.beside else self.nbytes

    @property
    def size(self) -> str:
        """What it takes, in words."""
        return f'{self.nbytes / 1e6:.0f} MB ' + (
            'on the disk' if self.on_disk else "of the host's memory" if self.beside else
            'of memory')


@dataclass(frozen=True)
class Measured:
    """A training's iterations, measured one process alone.

    Args:
        counts (list[int]): Numbers of frozen layers, rising from 0 to all.
        seconds (list[float]): Of an iteration with so many layers frozen, loading apart.
        memory (list[int]): Likewise; bytes.
        layers (LayerCosts): FLOPs for one image.
        forward (list[float]): Seconds of each layer's forward pass, for one image.
        batch_size (int): Images of an iteration.
        load (float): Seconds to load an image in the process that trains; 0 if not known.
        workers (int): Processes that load instead of it.
        first (float): How many seconds longer the first iterations of a process take, together.
        uncertainty (float): How well the times are known, as a share of them.
        store (MeasuredStore, optional): None: nothing can be stored.
    """
    counts: List[int]
    seconds: List[float]
    memory: List[int]
    layers: LayerCosts
    forward: List[float]
    batch_size: int
    load: float
    workers: int
    first: float
    uncertainty: float
    store: Optional[MeasuredStore] = None

    @property
    def num_layers(self) -> int:
        """Number of freezable layers, L."""
        return len(self.forward)

    def iteration(self, num_frozen: int, stored: int = 0) -> float:
        """Seconds of an iteration, loading included.

        Between the counts that were measured it follows the FLOPs of the layers. Where workers
        load, an iteration lasts as long as they take to deliver a batch, if that is longer.

        Args:
            num_frozen (int): Number of frozen layers.
            stored (int): Number of layers whose output is read instead of computed. Defaults to 0.

        Returns:
            float: Seconds.
        """
        seconds, load = self._between(num_frozen, self.seconds), self.load
        if stored:
            seconds += self.batch_size * (self.store.costs.read - sum(self.forward[:stored]))
            if self.store.load_bare is not None:
                load = self.store.load_bare
        return self._with_loading(seconds, load * self.batch_size)

    def peak(self, num_frozen: int) -> float:
        """Bytes that an iteration takes, as they were measured."""
        return self._between(num_frozen, self.memory)

    def filling(self, num_layers: int) -> float:
        """Seconds to load an image, to compute what so many layers make of it, and to store that.

        The training's workers load it, if there are any.
        """
        return self._with_loading(sum(self.forward[:num_layers]) + self.store.costs.write,
                                  self.load)

    def _with_loading(self, seconds: float, load: float) -> float:
        """Of the same images; workers load meanwhile."""
        return max(seconds, load / self.workers) if self.workers else seconds + load

    def _between(self, num_frozen: int, values: List[float]) -> float:
        saved = np.concatenate([[0], np.cumsum(self.layers.backward)])
        return float(np.interp(saved[num_frozen], saved[self.counts], values))

"""The upper limit of AFA and PipeTransformer, as a policy of its own."""
import math
from typing import Optional

from .base import Clock, FreezePolicy, SchedulePolicy, require_interval


class GeometricLimit(FreezePolicy):
    """What AFA and the limit alone share: intervals, and the most layers that each allows.

    The arguments are those of :class:`GeometricFreezing`.
    """

    def __init__(self, alpha: float = 0.2, interval: Optional[int] = None,
                 max_frozen: Optional[int] = None) -> None:
        super().__init__(max_frozen)
        if not 0 < alpha <= 1:
            raise ValueError(f'alpha must be in (0, 1], but is {alpha!r}')
        self.alpha = alpha
        self.interval = require_interval(interval)

    def elapsed(self, clock: Clock) -> int:
        """Number of whole intervals that have elapsed, T."""
        if self.interval is None:
            return (self.num_layers + 1) * clock.iteration // clock.max_iters
        return clock.iteration // (self.interval * clock.unit)

    def upper_limit(self, intervals: int) -> int:
        """Most layers that may be frozen after so many intervals, U(T)."""
        layers = self.num_layers * (1 - (1 - self.alpha) ** intervals)
        # The margin keeps rounding from lifting a whole number to the next one.
        return min(self.limit, math.ceil(layers - 1e-9))


class GeometricFreezing(GeometricLimit, SchedulePolicy):
    """Freezes a fixed fraction of the layers that are still active, interval by interval.

    After T intervals ``n = min(max_frozen, ceil(L * (1 - (1 - alpha) ** T)))``. This is
    PipeTransformer's bound (He et al., ICML 2021) and AFA's upper limit alone; it stands beside
    AFA in comparisons, since it shows whether the gradient test matters.

    Args:
        alpha (float): Fraction of the active layers frozen in an interval, in (0, 1]. The default
            suits 12 layers; with few layers the last ones never freeze (of 4 layers, the default
            intervals freeze at most 3). Defaults to 0.2.
        interval (int, optional): Epochs (iterations in an iteration loop) of an interval.
            Defaults to None: L + 1 equal intervals in the run.
        max_frozen (int, optional): Never freeze more layers than this. Defaults to None: all.

    Raises:
        ValueError: A setting is out of range.
    """

    def target(self, clock: Clock) -> int:
        return self.upper_limit(self.elapsed(clock))

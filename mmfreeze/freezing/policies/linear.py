"""LFA: layers freeze at an even pace."""
from typing import Optional

from .base import Clock, SchedulePolicy, _require_at_least


class LinearFreezing(SchedulePolicy):
    """LFA: one more layer at equal steps of the run.

    With ``it`` completed iterations of ``max_iters`` and L layers,
    ``n = min(max_frozen, (L + 1) * it // max_iters)``: for 65 epochs and 12 layers one layer every
    5 epochs.

    Source: Tang et al., "Training Acceleration Method Based on Parameter Freezing", Electronics
    2024, 13, 2140; the pace is inferred from its tables. ``freeze_start`` and ``freeze_level``
    give the schedule of MosaicML Composer's layer freezing instead.

    Args:
        max_frozen (int, optional): Never freeze more layers than this. Defaults to None: all.
        period (int, optional): Epochs (iterations in an iteration loop) for each layer instead of
            equal steps of the run. Defaults to None.
        start (int, optional): Epochs (iterations) before the first period begins. Takes
            ``period``. Defaults to None: 0.
        freeze_start (float, optional): Fraction of the run at which the ramp begins, in [0, 1).
            Takes ``freeze_level``. Defaults to None.
        freeze_level (float, optional): Fraction of the layers that are frozen when the run ends,
            in [0, 1]. Defaults to None.

    Raises:
        ValueError: A setting is out of range, or the two schedules are mixed.
    """

    def __init__(self,
                 max_frozen: Optional[int] = None,
                 period: Optional[int] = None,
                 start: Optional[int] = None,
                 freeze_start: Optional[float] = None,
                 freeze_level: Optional[float] = None) -> None:
        super().__init__(max_frozen)
        if period is not None:
            _require_at_least('period', period, 1)
        if start is not None:
            _require_at_least('start', start, 0)
            if period is None:
                raise ValueError(f'start={start} takes a period as well')
        if (freeze_start is None) != (freeze_level is None):
            raise ValueError('freeze_start and freeze_level go together, but are '
                             f'{freeze_start!r} and {freeze_level!r}')
        if freeze_start is not None:
            if period is not None:
                raise ValueError(f'period={period} and freeze_start={freeze_start} are two '
                                 'different schedules; give one of them')
            if not 0 <= freeze_start < 1:
                raise ValueError(f'freeze_start must be in [0, 1), but is {freeze_start!r}')
            if not 0 <= freeze_level <= 1:
                raise ValueError(f'freeze_level must be in [0, 1], but is {freeze_level!r}')
        self.period = period
        self.start = start or 0
        self.freeze_start = freeze_start
        self.freeze_level = freeze_level

    def target(self, clock: Clock) -> int:
        if self.period is not None:
            n = (clock.iteration // clock.unit - self.start) // self.period
        elif self.freeze_start is not None:
            ramp = (clock.iteration / clock.max_iters - self.freeze_start) / (1 - self.freeze_start)
            # The margin keeps rounding from delaying a layer by one decision.
            n = int(self.freeze_level * ramp * self.num_layers + 1e-9)
        else:
            n = (self.num_layers + 1) * clock.iteration // clock.max_iters
        return min(self.limit, max(0, n))

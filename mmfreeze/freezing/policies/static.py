"""Policies that never change their mind, for comparison."""
from .base import Clock, SchedulePolicy, _require_at_least


class NoFreezing(SchedulePolicy):
    """Freezes nothing: the baseline, with the same hook, log and timeline as the others."""

    def target(self, clock: Clock) -> int:
        return 0


class StaticFreezing(SchedulePolicy):
    """Freezes a fixed number of layers from the first iteration on.

    Args:
        num_frozen (int): How many leading layers.

    Raises:
        ValueError: ``num_frozen`` is negative, or (at :meth:`setup`) exceeds the number of layers.
    """

    def __init__(self, num_frozen: int) -> None:
        _require_at_least('num_frozen', num_frozen, 0)
        super().__init__(max_frozen=num_frozen)

    def setup(self, num_layers: int) -> None:
        if self.max_frozen > num_layers:
            raise ValueError(f'StaticFreezing: num_frozen={self.max_frozen}, but the model has '
                             f'{num_layers} freezable layers')
        super().setup(num_layers)

    def target(self, clock: Clock) -> int:
        return self.limit

"""What every freezing policy is: progress and signals in, number of frozen layers out."""
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple


@dataclass(frozen=True)
class Clock:
    """How far training is, at the last point where a decision may fall.

    Args:
        iteration (int): Iterations completed at that point (in an epoch loop, the end of an
            epoch, unless the policy decides at every iteration).
        max_iters (int): Iterations of the whole run.
        unit (int): Iterations of the loop's own unit, in which users count: those of an epoch in
            an epoch loop, 1 in an iteration loop. Defaults to 1.
    """
    iteration: int
    max_iters: int
    unit: int = 1


@dataclass(frozen=True)
class Decision:
    """What a policy decided.

    Args:
        num_frozen (int): Number of leading layers that are frozen from now on.
        details (dict): Why, in plain types, for the log and the timeline.
    """
    num_frozen: int
    details: Dict[str, Any] = field(default_factory=dict)


class FreezePolicy(ABC):
    """Decides how many leading layers are frozen; the number never falls.

    The caller asks :meth:`due` before each iteration, and where it says so, :meth:`decide`.

    Args:
        max_frozen (int, optional): Never freeze more layers than this. Defaults to None: all.

    Attributes:
        wants (Mapping[str, dict]): The signals to collect for :meth:`decide`, by name, with the
            arguments of each. None costs anything unless it is named here.
        every_iteration (bool): Whether decisions may also fall inside an epoch.
        sets_lr (bool): Whether :meth:`lr_factors` gives learning rates.
        num_layers (int): Number of freezable layers, known after :meth:`setup`.
        num_frozen (int): Number of layers frozen so far.

    Raises:
        ValueError: A setting is unknown or contradicts another one; the message names it.
    """

    wants: Mapping[str, Dict[str, Any]] = {}
    every_iteration: bool = False
    sets_lr: bool = False

    def __init__(self, max_frozen: Optional[int] = None) -> None:
        if max_frozen is not None:
            _require_at_least('max_frozen', max_frozen, 0)
        self.max_frozen = max_frozen
        self.num_layers = 0
        self.num_frozen = 0

    def setup(self, num_layers: int) -> None:
        """Tells the policy the number of layers; called once, before training.

        Raises:
            ValueError: ``max_frozen`` exceeds the number of layers.
        """
        if self.max_frozen is not None and self.max_frozen > num_layers:
            raise ValueError(f'{type(self).__name__}: max_frozen={self.max_frozen}, but the model '
                             f'has {num_layers} freezable layers')
        self.num_layers = num_layers

    @property
    def limit(self) -> int:
        """The most layers that this run will freeze."""
        return self.num_layers if self.max_frozen is None else self.max_frozen

    def bounds(self) -> Tuple['FreezePolicy', 'FreezePolicy']:
        """What can be said about this policy before training.

        Returns:
            tuple[FreezePolicy, FreezePolicy]: Policies that want no signals: one that freezes no
            sooner than this one, whatever its signals will be, and one that freezes no later.

        Raises:
            ValueError: The signals leave every course open.
        """
        if self.wants:
            raise ValueError(
                f'{type(self).__name__} decides by {", ".join(self.wants)}, which training alone '
                'shows: what it will freeze cannot be predicted')
        return self, self

    @abstractmethod
    def due(self, clock: Clock) -> bool:
        """Whether :meth:`decide` is to be called now. Changes nothing."""

    @abstractmethod
    def decide(self, clock: Clock,
               signals: Mapping[str, Optional[List[Optional[float]]]]) -> Decision:
        """Decides.

        Args:
            clock (Clock): Progress of the run.
            signals (Mapping[str, list[float | None] | None]): For each name in ``wants`` a number
                for each layer (None where frozen), or None if there is nothing to go by.

        Returns:
            Decision: With ``num_frozen`` not below the one before.
        """

    def lr_factors(self, clock: Clock) -> Optional[List[float]]:
        """What the learning rates are multiplied by in the coming iteration. Changes nothing.

        Args:
            clock (Clock): Progress of the run.

        Returns:
            list[float] or None: L + 1 factors, one for each layer and the last for everything
            behind them; None if the policy leaves learning rates alone.
        """
        return None

    def state_dict(self) -> Dict[str, Any]:
        """All that a resumed run needs, in plain types."""
        return dict(num_frozen=self.num_frozen)

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Takes up the state of :meth:`state_dict`."""
        self.num_frozen = state['num_frozen']

    def _move_to(self, num_frozen: int, details: Dict[str, Any]) -> Decision:
        self.num_frozen = max(self.num_frozen, num_frozen)
        return Decision(self.num_frozen, details)


class SchedulePolicy(FreezePolicy):
    """A policy that follows from progress alone: :meth:`target` says how many layers."""

    @abstractmethod
    def target(self, clock: Clock) -> int:
        """Number of layers that are to be frozen at this point of the run."""

    def due(self, clock: Clock) -> bool:
        return self.target(clock) > self.num_frozen

    def decide(self, clock: Clock, signals: Mapping[str, Any]) -> Decision:
        return self._move_to(self.target(clock), {})


def _require_at_least(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f'{name} must be an integer of at least {least}, but is {value!r}')


def require_interval(interval: Optional[int]) -> Optional[int]:
    """Returns a valid ``interval`` setting, or raises ``ValueError``."""
    if interval is not None:
        _require_at_least('interval', interval, 1)
    return interval

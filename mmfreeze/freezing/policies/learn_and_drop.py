"""Learn&Drop: layers that stopped changing are done."""
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .base import Clock, Decision, FreezePolicy, _require_at_least, require_interval
from .static import NoFreezing

Scores = List[Optional[float]]


class LearnAndDrop(FreezePolicy):
    """Learn&Drop: freezes the leading layers whose parameters hardly change any more.

    At each evaluation e a layer's score is ``s(e)``, the relative change of its parameters since
    the evaluation before (:class:`~mmfreeze.freezing.WeightChange`), and its trend
    ``r(e) = s(e) / max(s(1), ..., s(e))``. The longest prefix whose trends were all below ``tau``
    at the last ``patience`` evaluations freezes. The last layer never does.

    Together with ``LayerFreezingHook(store=...)`` these layers leave the forward pass as well,
    which is what the method is about; without, only the backward pass.

    Source: Cruciata et al., "Learn&Drop: Fast Learning of CNNs based on Layer Dropping", which
    scores the change of each layer and whether it goes on; formula and threshold are not publicly
    readable, so these are a **reconstruction**.

    Args:
        tau (float): In [0, 1]; with 0 nothing ever freezes. Defaults to 0.1.
        patience (int): Evaluations in a row, at least 1. Defaults to 2.
        interval (int, optional): Epochs (iterations in an iteration loop) from one evaluation to
            the next. Defaults to None: an epoch; in an iteration loop it has to be given.
        warmup (int): Epochs (iterations in an iteration loop) whose changes are not looked at,
            such as those of a learning rate that rises. Defaults to 0.
        max_frozen (int, optional): Never freeze more layers than this. Defaults to None: all but
            the last.

    Raises:
        ValueError: A setting is out of range.
    """

    wants: Mapping[str, Dict[str, Any]] = dict(weight_change={})

    def __init__(self, tau: float = 0.1, patience: int = 2, interval: Optional[int] = None,
                 warmup: int = 0, max_frozen: Optional[int] = None) -> None:
        super().__init__(max_frozen)
        if not 0 <= tau <= 1:
            raise ValueError(f'tau must be in [0, 1], but is {tau!r}: a layer counts as settled '
                             'when its change is below this share of its largest change')
        _require_at_least('patience', patience, 1)
        _require_at_least('warmup', warmup, 0)
        self.tau = tau
        self.patience = patience
        self.interval = None if interval is None else require_interval(interval)
        self.warmup = warmup
        self._evaluated = 0
        self._peaks: List[float] = []
        self._below: List[int] = []

    def setup(self, num_layers: int) -> None:
        super().setup(num_layers)
        self._peaks = [0.] * num_layers
        self._below = [0] * num_layers

    @property
    def limit(self) -> int:
        return min(super().limit, self.num_layers - 1)

    def bounds(self) -> Tuple[FreezePolicy, FreezePolicy]:
        """Nothing, and what would freeze if no layer ever changed."""
        settings = dict(tau=self.tau, patience=self.patience, interval=self.interval,
                        warmup=self.warmup, max_frozen=self.max_frozen)
        return NoFreezing(), _NoChange(**settings)

    def due(self, clock: Clock) -> bool:
        if self.interval is None and clock.unit == 1:
            raise ValueError('LearnAndDrop.interval is missing: a single iteration says little of '
                             'what a layer still learns; where there are no epochs, set it to the '
                             'iterations of a pass through the data')
        return self._evaluations(clock) > self._evaluated

    def decide(self, clock: Clock, signals: Mapping[str, Optional[Scores]]) -> Decision:
        self._evaluated = self._evaluations(clock)
        scores = signals['weight_change']
        if clock.iteration <= self.warmup * clock.unit:
            return self._move_to(self.num_frozen, dict(weight_change=scores, warmup=True))
        trends: Scores = [None] * self.num_frozen
        for layer in range(self.num_frozen, self.num_layers):
            trend = self._trend(layer, scores[layer])
            trends.append(trend)
            self._below[layer] = self._below[layer] + 1 if trend < self.tau else 0
        settled = self.num_frozen
        while settled < self.limit and self._below[settled] >= self.patience:
            settled += 1
        return self._move_to(settled, dict(weight_change=scores, trend=trends))

    def state_dict(self) -> Dict[str, Any]:
        return dict(super().state_dict(), evaluated=self._evaluated, peaks=list(self._peaks),
                    below=list(self._below))

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._evaluated = state['evaluated']
        self._peaks = list(state['peaks'])
        self._below = list(state['below'])

    def _evaluations(self, clock: Clock) -> int:
        return clock.iteration // ((self.interval or 1) * clock.unit)

    def _trend(self, layer: int, score: float) -> float:
        """The score as a share of the layer's largest one; 0 while it never changed."""
        self._peaks[layer] = max(self._peaks[layer], score)
        return score / self._peaks[layer] if self._peaks[layer] else 0.


class _NoChange(LearnAndDrop):
    """Learn&Drop where no layer ever changes: as early as its settings allow."""

    wants: Mapping[str, Dict[str, Any]] = {}

    def decide(self, clock: Clock, signals: Mapping[str, Any]) -> Decision:
        return super().decide(clock, dict(weight_change=[0.] * self.num_layers))

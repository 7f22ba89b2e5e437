"""AFA: gradient norms decide how fast layers freeze, below an upper limit."""
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from .base import Clock, Decision, FreezePolicy
from .geometric import GeometricFreezing, GeometricLimit
from .static import NoFreezing

Norms = List[Optional[float]]


class AdaptiveFreezing(GeometricLimit):
    """AFA: freezes up to a layer that the gradient norms point at, below an upper limit.

    At each decision T with n layers frozen, ``U(T)`` of :class:`GeometricFreezing` and a gradient
    test give ``n(T) = max(n, min(U(T), candidate))``. Where ``U(T) <= n`` nothing is tested. The
    candidate is, from the norms g of the interval:

    - ``'magnitude'``: one more than the layer of the smallest norm in [n, U). At least one layer
      freezes whenever the limit allows it: norms that rise with depth give about LFA's pace, norms
      that fall with depth the limit's.
    - ``'ratio'``: the first active layer whose relative change of norm since the last interval is
      not below a percentile of those of the active layers (AutoFreeze's test). The first interval
      only stores norms, and the last layer never freezes.
    - ``'constant'``: the first active layer whose norm is at least ``tau``; all if there is none.

    Source: the terms are those of Tang et al., Electronics 2024, 13, 2140, Algorithm 1; its
    formulas are not available, so this definition is a **reconstruction**, in which the upper
    limit alone reproduces the published trajectory.

    Args:
        test (str): ``'magnitude'``, ``'ratio'`` or ``'constant'``. Defaults to 'magnitude'.
        alpha (float): See :class:`GeometricFreezing`; tuned to 12 layers. Defaults to 0.2.
        interval (int, optional): See :class:`GeometricFreezing`. Defaults to None.
        max_frozen (int, optional): Never freeze more layers than this. Defaults to None: all.
        percentile (float, optional): For 'ratio', in [0, 100]. Defaults to None: 50.
        tau (float, optional): For 'constant', which requires it: a norm, not negative.
            Defaults to None.
        accumulate (str): See :class:`~mmfreeze.freezing.GradNorm`. Defaults to 'mean'.
        by_size (bool): Likewise. Defaults to False.

    Raises:
        ValueError: A setting is unknown, out of range, or belongs to another test.
    """

    def __init__(self,
                 test: str = 'magnitude',
                 alpha: float = 0.2,
                 interval: Optional[int] = None,
                 max_frozen: Optional[int] = None,
                 percentile: Optional[float] = None,
                 tau: Optional[float] = None,
                 accumulate: str = 'mean',
                 by_size: bool = False) -> None:
        super().__init__(alpha, interval, max_frozen)
        tests = dict(magnitude=self._magnitude, ratio=self._ratio, constant=self._constant)
        if test not in tests:
            raise ValueError(f'test must be one of {", ".join(tests)}, but is {test!r}')
        if percentile is not None and test != 'ratio':
            raise ValueError(f"percentile={percentile} belongs to test='ratio', not to {test!r}")
        if (tau is None) == (test == 'constant'):
            raise ValueError(f"tau belongs to test='constant', which requires it; test={test!r} "
                             f'and tau={tau!r} do not go together')
        if percentile is not None and not 0 <= percentile <= 100:
            raise ValueError(f'percentile must be in [0, 100], but is {percentile!r}')
        if tau is not None and not tau >= 0:
            raise ValueError(f'tau must not be negative, but is {tau!r}')
        if accumulate not in ('mean', 'sum'):
            raise ValueError(f"accumulate must be 'mean' or 'sum', but is {accumulate!r}")
        self.test = test
        self.percentile = 50 if percentile is None else percentile
        self.tau = tau
        self.wants = dict(grad_norm=dict(accumulate=accumulate, by_size=by_size))
        self._candidate = tests[test]
        self._decided = 0
        self._previous: Optional[Norms] = None

    def bounds(self) -> Tuple[FreezePolicy, FreezePolicy]:
        settings = dict(alpha=self.alpha, interval=self.interval, max_frozen=self.max_frozen)
        # The other tests may find no layer at all that has settled. (An interval without any finite
        # gradient decides nothing in either; that is not foreseen.)
        slowest = _RisingNorms(**settings) if self.test == 'magnitude' else NoFreezing()
        return slowest, GeometricFreezing(**settings)

    def due(self, clock: Clock) -> bool:
        return self.elapsed(clock) > self._decided

    def decide(self, clock: Clock, signals: Mapping[str, Optional[Norms]]) -> Decision:
        self._decided = self.elapsed(clock)
        limit = self.upper_limit(self._decided)
        norms = signals['grad_norm']
        details: Dict[str, Any] = dict(
            intervals=self._decided, upper_limit=limit, grad_norm=norms, bound='none')
        if norms is None:
            details['warning'] = ('no iteration of this interval had finite gradients, so nothing '
                                  'is decided')
            return self._move_to(self.num_frozen, details)
        target = self.num_frozen
        if limit > self.num_frozen:
            candidate = self._candidate(norms, limit, details)
            target = min(limit, candidate)
            details.update(candidate=candidate,
                           bound='upper_limit' if candidate >= limit else 'gradient')
        self._previous = norms
        return self._move_to(target, details)

    def state_dict(self) -> Dict[str, Any]:
        return dict(super().state_dict(), decided=self._decided, previous=self._previous)

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._decided = state['decided']
        self._previous = state['previous']

    def _magnitude(self, norms: Norms, limit: int, details: Dict[str, Any]) -> int:
        return min(range(self.num_frozen, limit), key=norms.__getitem__) + 1

    def _ratio(self, norms: Norms, limit: int, details: Dict[str, Any]) -> int:
        if self._previous is None:
            return self.num_frozen
        change = [_relative_change(before, now) for before, now in
                  zip(self._previous[self.num_frozen:], norms[self.num_frozen:])]
        details['relative_change'] = [None] * self.num_frozen + change
        threshold = np.percentile(change, self.percentile)
        return self.num_frozen + next(i for i, eta in enumerate(change) if eta >= threshold)

    def _constant(self, norms: Norms, limit: int, details: Dict[str, Any]) -> int:
        return next((i for i in range(self.num_frozen, self.num_layers) if norms[i] >= self.tau),
                    self.num_layers)


class _RisingNorms(AdaptiveFreezing):
    """AFA where norms always rise with depth: one layer at each decision that the limit allows."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.wants = {}

    def decide(self, clock: Clock, signals: Mapping[str, Any]) -> Decision:
        return super().decide(clock, dict(grad_norm=[float(i) for i in range(self.num_layers)]))


def _relative_change(before: float, now: float) -> float:
    if before == 0:
        return 0. if now == 0 else float(np.finfo(float).max)
    return abs(before - now) / before

"""FreezeOut: the learning rate of each layer is annealed to zero, earlier layers sooner."""
import math
from fractions import Fraction
from typing import List

from .base import Clock, SchedulePolicy, _require_at_least

_POWERS = dict(linear=1, squared=2, cubic=3)


class FreezeOut(SchedulePolicy):
    """FreezeOut: each layer's learning rate follows a cosine to zero, and there the layer freezes.

    Layer i of L ends at ``t_i = f(t_0 + (1 - t_0) * i / L)`` of the run, f the identity, the square
    or the cube; whatever lies behind the layers (neck, heads) at 1, that is with the run. With s
    the fraction of the run that is over, the learning rate of layer i is its own one times
    ``.5 * (1 + cos(pi * s / t_i))``, divided by ``t_i`` if scaled, and the layer freezes as soon as
    ``s >= t_i``. With a warm-up, s counts from its end and is 0 before.

    This is the whole annealing: beside it only a warm-up scheduler makes sense. Layer-wise
    learning rate decay is multiplied with it.

    Source: Brock, Lim, Ritchie, Weston, "FreezeOut", 2017 (arXiv 1706.04983), with the half that
    its printed formula lacks, as in the authors' code; the warm-up is ViTFreeze's. Ours: iterations
    are counted where the authors' code assumes 1,000 in an epoch, and the first layers (the stem)
    do freeze.

    Args:
        how (str): f: ``'linear'``, ``'squared'`` or ``'cubic'``, the paper's recommendation.
            Defaults to 'cubic'.
        scaled (bool): Whether each layer's learning rate is divided by ``t_i``, so that all layers
            travel the same distance. The better choice with SGD; with AdamW it is not.
            Defaults to False.
        t_0 (float): When the first layer ends, before f: a fraction of the run, in (0, 1]; with 1
            nothing freezes. Defaults to 0.8: by 'cubic' the first layer freezes at .512 of the run.
        warmup (int): Iterations of the warm-up, in which nothing is annealed. Defaults to 0.

    Raises:
        ValueError: A setting is unknown or out of range; or, once the run's length is known
            (:meth:`target`, :meth:`lr_factors`), the warm-up leaves nothing of it.
    """

    every_iteration = True
    sets_lr = True

    def __init__(self, how: str = 'cubic', scaled: bool = False, t_0: float = 0.8,
                 warmup: int = 0) -> None:
        super().__init__()
        if how not in _POWERS:
            raise ValueError(f'how must be one of {", ".join(_POWERS)}, but is {how!r}')
        if not isinstance(scaled, bool):
            raise ValueError(f'scaled must be True or False, but is {scaled!r}')
        if isinstance(t_0, bool) or not isinstance(t_0, (int, float)) or not 0 < t_0 <= 1:
            raise ValueError(f't_0 must be a fraction of the run in (0, 1], but is {t_0!r}')
        _require_at_least('warmup', warmup, 0)
        self.how = how
        self.scaled = scaled
        self.t_0 = t_0
        self.warmup = warmup
        self._ends: List[Fraction] = []

    def setup(self, num_layers: int) -> None:
        super().setup(num_layers)
        # As it is written: the float of .8 would put .8 ** 3 of 1000 iterations behind 512.
        t_0 = Fraction(str(self.t_0))
        self._ends = [(t_0 + (1 - t_0) * Fraction(i, num_layers)) ** _POWERS[self.how]
                      for i in range(num_layers + 1)]

    def layer_ends(self) -> List[float]:
        """When each of the L layers freezes, t_i: fractions of the run after the warm-up."""
        return [float(end) for end in self._ends[:-1]]

    def target(self, clock: Clock) -> int:
        return sum(share >= 1 for share in self._shares(clock)[:-1])

    def lr_factors(self, clock: Clock) -> List[float]:
        factors = [.5 * (1 + math.cos(math.pi * min(share, 1))) for share in self._shares(clock)]
        if self.scaled:
            return [factor / float(end) for factor, end in zip(factors, self._ends)]
        return factors

    def _shares(self, clock: Clock) -> List[float]:
        """Which share of its time each layer has trained, s / t_i; last, what is behind them.

        Both the learning rate and the freezing follow from it, so that they cannot disagree.
        """
        length = clock.max_iters - self.warmup
        if length < 1:
            raise ValueError(f'FreezeOut: warmup={self.warmup} leaves nothing of a run of '
                             f'{clock.max_iters} iterations; make it shorter')
        done = max(0, clock.iteration - self.warmup)
        # Whole numbers up to the one division, which rounds the true quotient.
        return [done * end.denominator / (end.numerator * length) for end in self._ends]

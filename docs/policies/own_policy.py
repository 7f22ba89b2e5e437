"""An own policy: layers freeze where the gradient has fallen to a share of its largest norm."""
from mmdet.registry import TASK_UTILS

from mmfreeze.freezing import FreezePolicy


@TASK_UTILS.register_module()
class FallenGradient(FreezePolicy):
    """After each epoch, freezes all leading layers whose gradient norm has fallen enough."""

    wants = dict(grad_norm={})  # one number for each layer, the mean since the last decision

    def __init__(self, share=0.5, max_frozen=None):
        super().__init__(max_frozen)
        if not 0 < share < 1:
            raise ValueError(f'share must be in (0, 1), but is {share!r}')
        self.share, self.epochs, self.largest = share, 0, []

    def due(self, clock):
        return clock.iteration // clock.unit > self.epochs

    def decide(self, clock, signals):
        self.epochs = clock.iteration // clock.unit
        norms, n = signals['grad_norm'], self.num_frozen
        if norms is None:  # every iteration overflowed
            return self._move_to(n, {})
        norms = [norm or 0. for norm in norms]  # None where frozen
        self.largest = [max(pair) for pair in zip(norms, self.largest or norms)]
        while n < self.limit and norms[n] < self.share * self.largest[n]:
            n += 1
        return self._move_to(n, dict(grad_norm=norms, largest=self.largest))

    def state_dict(self):
        return dict(super().state_dict(), epochs=self.epochs, largest=self.largest)

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.epochs, self.largest = state['epochs'], state['largest']

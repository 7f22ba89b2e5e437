"""Optimizer wrappers for policies that want gradients or set learning rates."""
from typing import Optional

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor

from mmfreeze.freezing import GradNorm

from .layer_rates import LayerRatesMixin


class GradSignalMixin:
    """Shows each step's gradients to a signal: after accumulation and all-reduce, before clipping.

    MMEngine has no hook point there: by ``after_train_iter`` the gradients are gone.

    Attributes:
        grad_signal (GradNorm, optional): Set by ``LayerFreezingHook`` where a policy wants it;
            with None a step costs nothing more.
    """

    grad_signal: Optional[GradNorm] = None

    def step(self, **kwargs) -> None:
        """Updates the signal, then the parameters."""
        if self.grad_signal is not None:
            scale = self._grad_scale()
            # Where the loss is scaled, an overflow anywhere skips the step.
            self.grad_signal.update(scale, [] if scale is None else [
                param.grad for group in self.optimizer.param_groups for param in group['params']
                if param.grad is not None])
        super().step(**kwargs)

    def _grad_scale(self) -> Optional[Tensor]:
        scaler = getattr(self, 'loss_scaler', None)
        if scaler is None or not scaler.is_enabled():
            return None
        # Scaling a one gives the loss scale as a tensor, where ``get_scale()`` would wait for the
        # device; ``unscale_()`` here would forbid the one that clipping needs.
        param = self.optimizer.param_groups[0]['params'][0]
        return scaler.scale(torch.ones((), device=param.device))


@OPTIM_WRAPPERS.register_module()
class FreezeOptimWrapper(GradSignalMixin, LayerRatesMixin, OptimWrapper):
    """MMEngine's ``OptimWrapper`` for policies that want gradients or set learning rates.

    Same arguments.
    """


@OPTIM_WRAPPERS.register_module()
class AmpFreezeOptimWrapper(GradSignalMixin, LayerRatesMixin, AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` for policies that want gradients or set learning rates.

    Same arguments.
    """

"""What the layers of a model cost."""
from contextlib import ExitStack
from typing import Any, Callable, List, Sequence

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .layers import LayerStack


def forward_flops(stack: LayerStack, model: nn.Module, forward: Callable[[], Any]) -> List[int]:
    """Counts the operations of each layer in a forward pass.

    A multiplication and an addition count as two. Convolutions and matrix products are counted,
    those of attention included; norms, activations and interpolation are not.

    Args:
        stack (LayerStack): The layers.
        model (nn.Module): The model that the stack was made of.
        forward (Callable): Runs the model, or the part of it that holds the layers; on the meta
            device nothing is computed.

    Returns:
        list[int]: FLOPs of each layer.
    """
    flops = [0] * len(stack)
    # Fused kernels of attention hide their products from the counter on some devices.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), ExitStack() as hooks, \
            FlopCounterMode(display=False) as counter:
        for layer, names in enumerate(stack.names):
            _Meter(flops, layer, counter).watch(model, names, hooks)
        forward()
    return flops


class _Meter:
    """Adds up what happens between entering and leaving the modules of one layer."""

    def __init__(self, flops: List[int], layer: int, counter: FlopCounterMode) -> None:
        self.flops, self.layer, self.counter = flops, layer, counter
        self.depth = 0

    def watch(self, model: nn.Module, names: Sequence[str], hooks: ExitStack) -> None:
        modules = dict(model.named_modules())
        # Inner modules too: a container may only hold its children, without being called itself.
        inner = {id(m): m for name in names if name in modules for m in modules[name].modules()}
        for module in inner.values():
            hooks.callback(module.register_forward_pre_hook(self._enter).remove)
            hooks.callback(module.register_forward_hook(self._leave).remove)

    def _enter(self, *_) -> None:
        if self.depth == 0:
            self.flops[self.layer] -= self.counter.get_total_flops()
        self.depth += 1

    def _leave(self, *_) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.flops[self.layer] += self.counter.get_total_flops()

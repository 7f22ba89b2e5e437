"""What the layers of a model cost."""
from contextlib import ExitStack
from typing import Any, Callable, List, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from .layers import LayerStack


def count_flops() -> FlopCounterMode:
    """A counter of the operations, forward and backward, that run while it is entered.

    A multiplication and an addition count as two. Convolutions and matrix products are counted,
    those of attention included; norms, activations, interpolation, RoIAlign and nms are not.
    Attention counts the same whichever kernel computes it: two products forward and four
    backward, of queries, keys, values and the bias of relative positions as they are written
    down. That a fused kernel computes the scores once more in the backward pass is no work of
    the model's.

    Returns:
        FlopCounterMode: To be entered; ``get_total_flops()`` may be asked at any time.
    """
    return FlopCounterMode(display=False, custom_mapping=_FUSED_ATTENTION)


def forward_flops(stack: LayerStack, model: nn.Module, forward: Callable[[], Any]) -> List[int]:
    """Counts the operations of each layer in a forward pass, as :func:`count_flops` does.

    Args:
        stack (LayerStack): The layers.
        model (nn.Module): The model that the stack was made of.
        forward (Callable): Runs the model, or the part of it that holds the layers; on the meta
            device nothing is computed.

    Returns:
        list[int]: FLOPs of each layer.
    """
    flops = [0] * len(stack)
    with torch.no_grad(), ExitStack() as hooks, count_flops() as counter:
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


def _attention_forward(query: torch.Size, key: torch.Size, value: torch.Size, *args,
                       **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size,
                        *args, **kwargs) -> int:
    return 2 * sdpa_flop_count(query, key, value)


# torch's own counter knows no kernel of the CPU, and of the others it counts what is recomputed.
_FUSED_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    torch.ops.aten._scaled_dot_product_flash_attention_backward: _attention_backward,
    torch.ops.aten._scaled_dot_product_efficient_attention_backward: _attention_backward,
    torch.ops.aten._scaled_dot_product_cudnn_attention_backward: _attention_backward,
}

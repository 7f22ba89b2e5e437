"""What the layers of a model cost."""
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional, Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_flop_count

from .layers import LayerStack


@dataclass(frozen=True)
class LayerCosts:
    """FLOPs of a training iteration, layer by layer.

    A gradient that one layer hands to the one before it counts as the latter's: it is computed
    only if something in front still trains. ``backward[i]`` is therefore what freezing layer i
    saves when those before it are frozen, and the sum over the layers that train is exactly what
    an iteration computes.

    Args:
        forward (list[int]): Forward pass of each layer.
        backward (list[int]): Backward pass of each layer.
        rest_forward (int): Forward pass of what is in no layer (neck, heads, losses).
        rest_backward (int): Backward pass of the same.
    """
    forward: List[int]
    backward: List[int]
    rest_forward: int
    rest_backward: int


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
    return FlopCounterMode(display=False, custom_mapping=_OWN_FORMULAS)


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
    with torch.no_grad(), count_flops() as counter, _metered(stack, model, counter) as flops:
        forward()
    return flops


def layer_costs(stack: LayerStack, model: nn.Module, loss: Callable[[], Tensor]) -> LayerCosts:
    """Counts forward and backward pass of each layer, and of the rest, as :func:`count_flops` does.

    The forward pass runs once; behind it, for each number of leading layers, a backward pass to
    everything that trains if so many are frozen. The differences are the layers' costs. No
    gradient is left behind, and nothing is frozen; the forward pass does what it always does, to
    running statistics for instance.

    Args:
        stack (LayerStack): The layers, none of them frozen yet.
        model (nn.Module): The model that the stack was made of.
        loss (Callable): Runs the model on a batch and returns the loss, a scalar; the costs are
            those of this batch. For a detector ``lambda: model.parse_losses(model(**data,
            mode='loss'))[0]``, with preprocessed data. On the meta device nothing is computed.

    Returns:
        LayerCosts: The costs.
    """
    with count_flops() as counter:
        with _metered(stack, model, counter) as forward:
            value = loss()
        passes = [counter.get_total_flops()]
        for num_frozen in range(len(stack) + 1):
            frozen = {id(p) for params in stack.params[:num_frozen] for p in params}
            trained = [p for p in model.parameters() if p.requires_grad and id(p) not in frozen]
            if trained:  # behind the last layer there may be nothing
                torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True)
            passes.append(counter.get_total_flops())
    total, *backward = [after - before for before, after in zip([0, *passes], passes)]
    return LayerCosts(
        forward=forward,
        backward=[more - fewer for more, fewer in zip(backward, backward[1:])],
        rest_forward=total - sum(forward),
        rest_backward=backward[-1])


@contextmanager
def _metered(stack: LayerStack, model: nn.Module,
             counter: FlopCounterMode) -> Iterator[List[int]]:
    """Yields the FLOPs of each layer, which grow with each forward pass before it is left."""
    flops = [0] * len(stack)
    with ExitStack() as hooks:
        for layer, names in enumerate(stack.names):
            _Meter(flops, layer, counter).watch(model, names, hooks)
        yield flops


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
                       scale: Optional[float] = None, **kwargs) -> int:
    if scale and 8 <= round(scale**-2) < query[-1]:
        # The scale is that of narrower heads: torch has padded them, or the terms of relative
        # positions are appended to them, which are counted where they are computed.
        query, key, value = ((*shape[:-1], round(scale**-2)) for shape in (query, key, value))
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size,
                        *args, scale: Optional[float] = None, **kwargs) -> int:
    return 2 * _attention_forward(query, key, value, scale=scale)


def _convolution_backward(grad: torch.Size, inputs: torch.Size, weight: torch.Size, _bias, _stride,
                          _padding, _dilation, transposed: bool, _output_padding, _groups,
                          wanted: Sequence[bool], **kwargs) -> int:
    """Either gradient, of the inputs and of the weight, takes as much as the forward pass."""
    return sum(wanted[:2]) * conv_flop_count(inputs, weight, grad, transposed)


# torch's own counter knows no attention kernel of the CPU, and of the others it counts what is
# recomputed or padded; the weight gradient of a grouped convolution it counts once too often for
# each group.
_OWN_FORMULAS = {
    torch.ops.aten.convolution_backward: _convolution_backward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    torch.ops.aten._scaled_dot_product_flash_attention: _attention_forward,
    torch.ops.aten._scaled_dot_product_efficient_attention: _attention_forward,
    torch.ops.aten._scaled_dot_product_cudnn_attention: _attention_forward,
    torch.ops.aten._scaled_dot_product_flash_attention_backward: _attention_backward,
    torch.ops.aten._scaled_dot_product_efficient_attention_backward: _attention_backward,
    torch.ops.aten._scaled_dot_product_cudnn_attention_backward: _attention_backward,
}

"""What a policy may want to know about the layers, collected while training runs."""
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch
from torch import Tensor

from .layers import LayerStack


class GradNorm:
    """Frobenius norms of the layers' gradients, kept on the device between two decisions.

    An update costs one ``torch._foreach_norm`` and a few operations on ``len(stack)`` numbers, and
    never waits for the device. Iterations in which a norm is not finite do not enter.

    Args:
        stack (LayerStack): The layers; those already frozen are left out.
        accumulate (str): ``'mean'``: the mean over the updates of the norm of the gradient, the
            reconstruction of AFA. ``'sum'``: the norm of the summed gradient, as AutoFreeze has
            it, at the price of one more copy of the layers' parameters. Defaults to 'mean'.
        by_size (bool): Whether to divide by the square root of a layer's number of parameters.
            Defaults to False.

    Raises:
        ValueError: ``accumulate`` is neither of the two.
    """

    def __init__(self, stack: LayerStack, accumulate: str = 'mean', by_size: bool = False) -> None:
        if accumulate not in ('mean', 'sum'):
            raise ValueError(f"accumulate must be 'mean' or 'sum', but is {accumulate!r}")
        self.stack = stack
        self.accumulate = accumulate
        self.by_size = by_size
        device = stack.params[0][0].device
        self._norms = torch.zeros(len(stack), dtype=torch.float64, device=device)
        self._count = torch.zeros((), dtype=torch.float64, device=device)
        self._sums: Dict[int, List[Tensor]] = {}
        self._present: tuple = ()
        self._layer_of: Optional[Tensor] = None

    @torch.no_grad()
    def update(self, scale: Optional[Tensor] = None, all_grads: Sequence[Tensor] = ()) -> None:
        """Takes in the gradients of one optimizer step, before clipping.

        Args:
            scale (Tensor, optional): Scalar on the device by which the gradients are multiplied
                (loss scaling). Defaults to None: not scaled.
            all_grads (Sequence[Tensor]): Gradients of the whole model, which have to be finite
                too, or the step will be skipped. Defaults to none.
        """
        norms = self._layer_norms(self._gradients())
        if scale is not None:
            norms = norms / scale
        finite = norms.isfinite().all()
        if all_grads:
            finite &= torch.stack(torch._foreach_norm(all_grads)).isfinite().all()
        self._count += finite
        if self.accumulate == 'mean':
            self._norms += torch.where(finite, norms, 0)
            return
        for layer in range(self.stack.num_frozen, len(self.stack)):
            params = self.stack.params[layer]
            sums = self._sums.setdefault(layer, [torch.zeros_like(p) for p in params])
            for total, param in zip(sums, params):
                if param.grad is not None:
                    grad = param.grad if scale is None else param.grad / scale
                    total += torch.where(finite, grad, 0)

    def read(self, all_reduce: Callable[[Tensor], Any] = lambda stats: None
             ) -> Optional[List[Optional[float]]]:
        """The signal since the last reset; the only call that waits for the device.

        Args:
            all_reduce (Callable): Averages a tensor of shape (len(stack) + 1,) in place over the
                ranks, so that all of them decide from the same bits. Defaults to doing nothing.

        Returns:
            list[float | None] or None: A norm for each layer (None for frozen ones), or None if
            no update had finite gradients.
        """
        if self.accumulate == 'sum':
            self._norms = self._norms.new_zeros(len(self.stack))
            for layer, sums in self._sums.items():
                self._norms[layer] = torch.stack(torch._foreach_norm(sums)).norm()
        stats = torch.cat([self._norms, self._count[None]])
        all_reduce(stats)
        *norms, count = stats.tolist()
        if count == 0:
            return None
        if self.accumulate == 'mean':
            norms = [norm / count for norm in norms]
        if self.by_size:
            norms = [norm / self.stack.numel(i) ** .5 for i, norm in enumerate(norms)]
        frozen = self.stack.num_frozen
        return [None] * frozen + norms[frozen:]

    def reset(self) -> None:
        """Begins a new interval."""
        self._norms.zero_()
        self._count.zero_()
        self._sums.clear()

    def state_dict(self) -> Dict[str, Any]:
        """The running interval, as plain numbers and (for ``'sum'``) tensors on the CPU."""
        return dict(norms=self._norms.tolist(), count=self._count.item(),
                    sums={i: [t.cpu() for t in sums] for i, sums in self._sums.items()})

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Takes up the interval of :meth:`state_dict`."""
        self._norms.copy_(torch.tensor(state['norms'], dtype=torch.float64))
        self._count.fill_(state['count'])
        self._sums = {i: [t.to(self._norms.device) for t in sums]
                      for i, sums in state['sums'].items()}

    def _gradients(self) -> List[Tensor]:
        """The gradients that are there; notes which layer each belongs to when that changes."""
        owned = [(layer, p.grad) for layer in range(self.stack.num_frozen, len(self.stack))
                 for p in self.stack.params[layer]]
        present = tuple(layer for layer, grad in owned if grad is not None)
        if present != self._present:
            self._present = present
            self._layer_of = torch.tensor(present, device=self._norms.device)
        return [grad for _, grad in owned if grad is not None]

    def _layer_norms(self, grads: List[Tensor]) -> Tensor:
        norms = torch.zeros_like(self._norms)
        if grads:
            # In double precision, since the squares of loss-scaled norms can overflow float32.
            squares = torch.stack(torch._foreach_norm(grads)).double().square()
            norms.index_add_(0, self._layer_of, squares)
        return norms.sqrt()


class WeightChange:
    """How much the layers' parameters change from one decision to the next.

    ``s = ||now - before|| / ||before||`` for each layer, over all its parameters. It takes a second
    copy of those that still train, and nothing in an iteration.

    Source: Learn&Drop (Cruciata et al.) scores the change of each layer's parameters; the formula
    is a **reconstruction**.

    Args:
        stack (LayerStack): The layers; those already frozen are left out.
    """

    def __init__(self, stack: LayerStack) -> None:
        self.stack = stack
        self._before: Dict[int, List[Tensor]] = {}
        self.reset()

    @torch.no_grad()
    def read(self, all_reduce: Callable[[Tensor], Any] = lambda stats: None
             ) -> List[Optional[float]]:
        """The change since the last reset.

        Args:
            all_reduce (Callable): Averages a tensor of shape (len(stack),) in place over the
                ranks. Defaults to doing nothing.

        Returns:
            list[float | None]: A number for each layer, None for frozen ones. Of a layer that was
            all zeros it is 1 if it changed, else 0.
        """
        frozen = self.stack.num_frozen
        device = self.stack.params[0][0].device
        stats = torch.zeros(len(self.stack), dtype=torch.float64, device=device)
        for layer in range(frozen, len(self.stack)):
            before = self._before[layer]
            change = _norm(torch._foreach_sub(self.stack.params[layer], before))
            size = _norm(before)
            stats[layer] = torch.where(size > 0, change / size, (change > 0).double())
        all_reduce(stats)
        return [None] * frozen + stats.tolist()[frozen:]

    def reset(self) -> None:
        """Compares with the parameters as they are now from now on."""
        self._before = {layer: [p.detach().clone() for p in self.stack.params[layer]]
                        for layer in range(self.stack.num_frozen, len(self.stack))}

    def state_dict(self) -> Dict[str, Any]:
        """The parameters to compare with, as tensors on the CPU."""
        return dict(before={i: [t.cpu() for t in params] for i, params in self._before.items()})

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Takes up the state of :meth:`state_dict`."""
        self._before = {layer: [t.to(p) for t, p in zip(params, self.stack.params[layer])]
                        for layer, params in state['before'].items()}


def _norm(tensors: List[Tensor]) -> Tensor:
    """Frobenius norm over several tensors, in double precision."""
    return torch.stack(torch._foreach_norm(tensors)).double().norm()

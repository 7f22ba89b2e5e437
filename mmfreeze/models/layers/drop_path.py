"""Stochastic depth."""
import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Skips a residual branch of whole samples at random, in training.

    "Deep Networks with Stochastic Depth" (arXiv 1603.09382). What is kept is scaled up, so that
    the mean stays the same. Unlike torchvision's ``StochasticDepth`` the rate enters as a tensor:
    a number would be a constant to ``torch.compile``, and every block, each with a rate of its
    own, would cost a graph of its own.

    Args:
        p (float): Probability that a sample skips the branch, in [0, 1).

    Raises:
        ValueError: ``p`` is out of range.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f'the drop-path rate must be within [0, 1), but is {p}')
        self.p = p
        self._drops = p > 0
        self.register_buffer('keep', torch.tensor(1. - p), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Zeroes samples of a branch of shape (B, ...), and returns the same shape."""
        if not self.training or not self._drops:
            return x
        kept = torch.bernoulli(self.keep.expand(len(x), *[1] * (x.ndim - 1)))
        return x * (kept / self.keep).to(x.dtype)

    def extra_repr(self) -> str:
        return f'p={self.p:g}'

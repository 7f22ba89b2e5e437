"""Ways to compute attention with decomposed relative positions, and which one is taken where.

All of them take queries, keys and values of shape (B, heads, H * W, C), not scaled, and the
relative positions of rows, of shape (H, H, C), and of columns, of shape (W, W, C). They return
(B, heads, H * W, C) and compute the same up to rounding.
"""
from typing import Callable, Dict, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .chunked_attention import chunked_attention

# Tokens of a map from which on a CPU works through it in chunks: the usual window of 14 x 14 takes
# as long either way, but keeps less; from some 2000 tokens on it is faster (docs/benchmarks.md).
CHUNKED_FROM = 14**2

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def choose_kernel(device_type: str, tokens: int) -> str:
    """Names the kernel for maps of a size on a kind of device.

    A fixed rule, so that a resumed run computes what the interrupted one did.

    Args:
        device_type (str): ``torch.device.type``.
        tokens (int): Number of tokens that attend to each other.

    Returns:
        str: A key of ``KERNELS``.
    """
    if device_type == 'cuda':
        return 'folded'  # for its fused kernels and what they keep; not measured
    if device_type == 'cpu' and tokens >= CHUNKED_FROM:
        return 'chunked'
    return 'bias'


def bias_attention(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Writes the bias down as a matrix, which is quick for small maps."""
    by_row, by_col = _bias_terms(q, rows, cols)
    # (B, heads, H, W, H, 1) + (B, heads, H, W, 1, W) -> (B, heads, H * W, H * W)
    bias = (by_row[..., None] + by_col[..., None, :]).flatten(4).flatten(2, 3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def folded_attention(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Appends the bias terms to the queries and the place of a key to the keys.

    Their product is then score and bias together, there is no mask, and fused kernels do. These
    want values of the same width, and a width in whole groups of eight, hence the padding.
    """
    by_row, by_col = _bias_terms(q, rows, cols)
    H, W, C, scale = len(rows), len(cols), q.shape[-1], q.shape[-1]**-.5
    rest = -(C + H + W) % 8
    by_col = F.pad(by_col / scale, (0, rest))
    q = torch.cat([q, (by_row / scale).flatten(2, 3), by_col.flatten(2, 3)], dim=-1)
    row = torch.eye(H, dtype=k.dtype, device=k.device)[:, None].expand(H, W, H)
    col = torch.eye(W, dtype=k.dtype, device=k.device).expand(H, W, W)
    place = F.pad(torch.cat([row, col], dim=-1), (0, rest)).flatten(0, 1)  # (H * W, H + W + rest)
    k = torch.cat([k, place.expand(*k.shape[:2], -1, -1)], dim=-1)
    # The scale also tells mmfreeze.freezing.cost how wide the heads are without what is appended.
    out = F.scaled_dot_product_attention(q, k, F.pad(v, (0, H + W + rest)), scale=scale)
    return out[..., :C]


def _bias_terms(q: Tensor, rows: Tensor, cols: Tensor) -> Tuple[Tensor, Tensor]:
    """What the bias of each query is for keys of a row, and for those of a column."""
    q = q.unflatten(2, (len(rows), len(cols)))  # (B, heads, H, W, C)
    return (torch.einsum('bnhwc,hkc->bnhwk', q, rows), torch.einsum('bnhwc,wkc->bnhwk', q, cols))


KERNELS: Dict[str, Kernel] = dict(
    bias=bias_attention, chunked=chunked_attention, folded=folded_attention)

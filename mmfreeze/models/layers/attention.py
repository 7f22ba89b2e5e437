"""Self-attention over a map of tokens."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .positions import relative_positions


class Attention(nn.Module):
    """Multi-head self-attention with decomposed relative positions.

    The bias of a query at (h, w) for a key at (i, j) is ``q . R_h[h, i] + q . R_w[w, j]`` (MViTv2,
    arXiv 2112.01526, in the form that ViTDet uses), with one pair of tables for all heads.

    Args:
        dim (int): Number of channels.
        num_heads (int): Number of heads; divides ``dim``.
        table_size (int, optional): Side of the square map, in tokens, for which the relative
            position tables are made; other sizes interpolate them. Defaults to None: no tables.
    """

    def __init__(self, dim: int, num_heads: int, table_size: Optional[int] = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.use_rel_pos = table_size is not None
        if self.use_rel_pos:
            shape = (2 * table_size - 1, dim // num_heads)
            self.rel_pos_h = nn.Parameter(torch.zeros(shape))
            self.rel_pos_w = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Attends within each map of the batch.

        Args:
            x (Tensor): Tokens of shape (B, H, W, C).

        Returns:
            Tensor: Tokens of the same shape.
        """
        B, H, W, C = x.shape
        # (B, H, W, 3C) -> 3 times (B, heads, H * W, C / heads)
        qkv = self.qkv(x).view(B, H * W, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        bias = self._position_bias(q, H, W) if self.use_rel_pos else None
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(B, H, W, C))

    def _position_bias(self, q: Tensor, H: int, W: int) -> Tensor:
        q = q.unflatten(2, (H, W))  # (B, heads, H, W, C / heads)
        by_row = torch.einsum('bnhwc,hkc->bnhwk', q, relative_positions(self.rel_pos_h, H))
        by_col = torch.einsum('bnhwc,wkc->bnhwk', q, relative_positions(self.rel_pos_w, W))
        # (B, heads, H, W, H, 1) + (B, heads, H, W, 1, W) -> (B, heads, H * W, H * W)
        return (by_row[..., None] + by_col[..., None, :]).flatten(4).flatten(2, 3)

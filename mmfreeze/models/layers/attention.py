"""Self-attention over a map of tokens."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention_kernels import KERNELS, choose_kernel
from .positions import relative_distances, relative_positions


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
            self.register_buffer('distances', relative_distances(table_size), persistent=False)

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
        if self.use_rel_pos:
            attend = KERNELS[choose_kernel(x.device.type, H * W)]
            x = attend(q, k, v, self._positions(self.rel_pos_h, H),
                       self._positions(self.rel_pos_w, W))
        else:
            x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(B, H, W, C))

    def _positions(self, table: Tensor, size: int) -> Tensor:
        fits = len(self.distances) == size
        return relative_positions(
            table, self.distances if fits else relative_distances(size, table.device))

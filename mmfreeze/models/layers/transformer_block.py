"""The block of a plain ViT."""
from collections import OrderedDict
from typing import Optional

from torch import Tensor, nn

from .attention import Attention
from .drop_path import DropPath
from .windows import window_partition, window_unpartition


class TransformerBlock(nn.Module):
    """Pre-norm transformer block with attention in windows or over the whole map.

    Args:
        dim (int): Number of channels.
        num_heads (int): Number of attention heads.
        mlp_ratio (float): Hidden width of the MLP, in multiples of ``dim``.
        window_size (int): Side of the attention windows, in tokens; 0 attends over the whole map.
        table_size (int, optional): Side of the map or window for which relative position tables
            are made. Defaults to None: no tables.
        drop_path (float): Probability that training skips a branch of a sample. Defaults to 0.
    """

    def __init__(self,
                 dim: int,
                 num_heads: int,
                 mlp_ratio: float,
                 window_size: int,
                 table_size: Optional[int] = None,
                 drop_path: float = 0.) -> None:
        super().__init__()
        self.window_size = window_size
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads, table_size)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(OrderedDict(
            fc1=nn.Linear(dim, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, dim)))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the block on tokens of shape (B, H, W, C) and returns the same shape."""
        x = x + self.drop_path(self._attend(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        if not self.window_size:
            return self.attn(x)
        windows = window_partition(x, self.window_size)
        return window_unpartition(self.attn(windows), x.shape[1:3])

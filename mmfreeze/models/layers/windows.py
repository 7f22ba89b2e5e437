"""Cutting a feature map into square windows and putting it together again."""
from typing import Tuple

import torch.nn.functional as F
from torch import Tensor


def window_partition(x: Tensor, window_size: int) -> Tensor:
    """Cuts a map into windows that do not overlap; the right and bottom rim is padded with zeros.

    Args:
        x (Tensor): Tokens of shape (B, H, W, C).
        window_size (int): Side of a window, in tokens.

    Returns:
        Tensor: Windows of shape (B * number of windows, window_size, window_size, C), row by row.
    """
    B, H, W, C = x.shape
    if W % window_size or H % window_size:  # padding by nothing would copy
        x = F.pad(x, (0, 0, 0, -W % window_size, 0, -H % window_size))
    rows, cols = x.shape[1] // window_size, x.shape[2] // window_size
    # (B, rows, s, cols, s, C) -> (B, rows, cols, s, s, C)
    x = x.view(B, rows, window_size, cols, window_size, C).transpose(2, 3)
    return x.reshape(-1, window_size, window_size, C)


def window_unpartition(windows: Tensor, size: Tuple[int, int]) -> Tensor:
    """Undoes :func:`window_partition` and cuts its padding off.

    Args:
        windows (Tensor): Windows of shape (B * number of windows, s, s, C).
        size (tuple[int, int]): Height and width of the map before it was cut, in tokens.

    Returns:
        Tensor: Tokens of shape (B, H, W, C).
    """
    H, W = size
    s, C = windows.shape[1], windows.shape[3]
    rows, cols = -(-H // s), -(-W // s)
    # (B, rows, cols, s, s, C) -> (B, rows, s, cols, s, C)
    x = windows.view(-1, rows, cols, s, s, C).transpose(2, 3)
    return x.reshape(-1, rows * s, cols * s, C)[:, :H, :W]

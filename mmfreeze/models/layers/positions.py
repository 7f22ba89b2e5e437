"""Absolute and relative position tables at the size that an input asks for."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_position_table(table: Tensor, size: Tuple[int, int]) -> Tensor:
    """Resizes an absolute position table by bicubic interpolation.

    Args:
        table (Tensor): Shape (1, H, W, C).
        size (tuple[int, int]): Height and width asked for, in tokens.

    Returns:
        Tensor: Shape (1, height, width, C); the table itself where the size is right already.
    """
    if tuple(table.shape[1:3]) == tuple(size):
        return table
    resized = F.interpolate(
        table.permute(0, 3, 1, 2), size=tuple(size), mode='bicubic', align_corners=False)
    return resized.permute(0, 2, 3, 1)


def resize_relative_table(table: Tensor, length: int) -> Tensor:
    """Resizes a relative position table by linear interpolation.

    Args:
        table (Tensor): Shape (L, C); row i belongs to the distance i - (L - 1) / 2.
        length (int): Number of distances asked for.

    Returns:
        Tensor: Shape (length, C); the table itself where the length is right already.
    """
    if len(table) == length:
        return table
    return F.interpolate(table.t()[None], size=length, mode='linear')[0].t()


def relative_distances(size: int, device: Optional[torch.device] = None) -> Tensor:
    """Numbers the distances of queries to keys along one axis from 0.

    Args:
        size (int): Number of tokens along the axis.
        device (torch.device, optional): Where. Defaults to None: torch's default.

    Returns:
        Tensor: Integers of shape (size, size); entry [i, j] belongs to query i and key j.
    """
    at = torch.arange(size, device=device)
    return at[:, None] - at[None, :] + (size - 1)


def relative_positions(table: Tensor, distances: Tensor) -> Tensor:
    """Looks up the relative position of every query to every key along one axis.

    Args:
        table (Tensor): Shape (L, C), resized to 2 * size - 1 rows where L differs.
        distances (Tensor): :func:`relative_distances` of the axis, of shape (size, size).

    Returns:
        Tensor: Shape (size, size, C); entry [i, j] belongs to query i and key j.
    """
    # Not table[distances]: on several CPU threads the gradient of indexing adds up in changing
    # order, and a run could not be repeated bit by bit. The gradient of an embedding can.
    return F.embedding(distances, resize_relative_table(table, 2 * len(distances) - 1))

"""Non-maximum suppression, on torchvision."""
import torch
import torchvision
from torch import Tensor

from .working_dtype import working_dtype


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        bboxes: Boxes in shape (N, 4) as (x1, y1, x2, y2), in pixels.
        scores: Scores in shape (N, ).
        iou_threshold: A box goes if its IoU with a better one is above this.
        offset: 0 or 1, added to each width and height before areas are taken.

    Returns:
        int64 indices of the boxes kept, by falling score; the order of equal scores is not defined.
    """
    dtype = working_dtype(bboxes, scores)
    bboxes = bboxes.to(dtype)
    bboxes = torch.cat([bboxes[:, :2], bboxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(bboxes, scores.to(dtype), iou_threshold)

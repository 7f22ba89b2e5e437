"""nms and RoIAlign with the calling conventions of mmcv's compiled extension, on torchvision.

Results go into buffers that the caller has allocated, as in the extension. float16, bfloat16 and
mixed types are computed in float32, because torchvision refuses some of them on the CPU.
"""
from typing import Callable, NoReturn

import torch
import torchvision
from torch import Tensor

_AVERAGE = 1  # mmcv's code for pool_mode='avg'


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
    dtype = _working_dtype(bboxes, scores)
    bboxes = bboxes.to(dtype)
    bboxes = torch.cat([bboxes[:, :2], bboxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(bboxes, scores.to(dtype), iou_threshold)


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor,
                      argmax_x: Tensor, aligned_height: int, aligned_width: int,
                      spatial_scale: float, sampling_ratio: int, pool_mode: int,
                      aligned: bool) -> None:
    """RoIAlign (He et al., "Mask R-CNN", 2017), averaging the sampled points of each bin.

    Args:
        input: Feature map in shape (B, C, H, W), in any memory format.
        rois: Boxes in shape (K, 5) as (image index, x1, y1, x2, y2), in pixels of the input image.
        output: Buffer in shape (K, C, aligned_height, aligned_width); receives the result.
        argmax_y: Buffer of max pooling; not used.
        argmax_x: Buffer of max pooling; not used.
        aligned_height: Bins along y.
        aligned_width: Bins along x.
        spatial_scale: Feature map pixels per image pixel.
        sampling_ratio: Points per bin along each axis; 0 takes as many as a bin has pixels.
        pool_mode: 1 for the average; 0 (max) is refused.
        aligned: Whether pixel centres lie at half coordinates.

    Raises:
        NotImplementedError: ``pool_mode`` is max.
    """
    if pool_mode != _AVERAGE:
        _refuse("roi_align with pool_mode='max'")
    dtype = _working_dtype(input, rois)
    output.copy_(
        torchvision.ops.roi_align(
            input.to(dtype).contiguous(), rois.to(dtype), (aligned_height, aligned_width),
            spatial_scale, sampling_ratio, aligned))


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor,
                       grad_input: Tensor, aligned_height: int, aligned_width: int,
                       spatial_scale: float, sampling_ratio: int, pool_mode: int,
                       aligned: bool) -> None:
    """Gradient of :func:`roi_align_forward` with respect to its input.

    Args:
        grad_output: Gradient of the output in shape (K, C, aligned_height, aligned_width).
        grad_input: Buffer in shape (B, C, H, W); receives the result.

    The other arguments are those of :func:`roi_align_forward`, whose refusal of max pooling has
    come first.
    """
    dtype = _working_dtype(grad_output, rois)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output.to(dtype), rois.to(dtype), spatial_scale, aligned_height, aligned_width,
            *grad_input.shape, sampling_ratio, aligned))


def unavailable(name: str) -> Callable[..., NoReturn]:
    """Returns what stands for a compiled op that has no stand-in: calling it raises.

    Args:
        name: Name of the op in mmcv's extension.
    """

    def op(*args, **kwargs) -> NoReturn:
        _refuse(name)

    return op


def _refuse(what: str) -> NoReturn:
    # Without build isolation the build sees torch and compiles; a cached wheel has no ops in it.
    raise NotImplementedError(
        f'{what} is one of mmcv\'s compiled ops, and this mmcv has none (mmfreeze stands in for '
        'nms and average RoIAlign only). Choose a model that does without it, or compile mmcv: '
        'pip install --no-deps --no-build-isolation --no-cache-dir --force-reinstall onedl-mmcv')


def _working_dtype(*tensors: Tensor) -> torch.dtype:
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype

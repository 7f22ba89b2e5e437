"""RoIAlign, on torchvision."""
import torch
import torchvision
from torch import Tensor

from .refusal import MAX_ALIGN, refuse
from .working_dtype import working_dtype

_AVERAGE = 1  # mmcv's code for pool_mode='avg'


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
        refuse(MAX_ALIGN)
    dtype = working_dtype(input, rois)
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
    dtype = working_dtype(grad_output, rois)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output.to(dtype), rois.to(dtype), spatial_scale, aligned_height, aligned_width,
            *grad_input.shape, sampling_ratio, aligned))

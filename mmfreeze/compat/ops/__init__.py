"""Ops with the calling conventions of mmcv's compiled extension, on torch and torchvision.

Results go into buffers that the caller has allocated, where the extension does so. float16,
bfloat16 and mixed types are computed in float32. The same code serves CPU and CUDA tensors.
"""
from .deform_conv import (deform_conv_backward_input, deform_conv_backward_parameters,
                          deform_conv_forward, modulated_deform_conv_backward,
                          modulated_deform_conv_forward)
from .ms_deform_attn import ms_deform_attn_backward, ms_deform_attn_forward
from .nms import nms
from .roi_align import roi_align_backward, roi_align_forward
from .sigmoid_focal_loss import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward

__all__ = [
    'deform_conv_backward_input', 'deform_conv_backward_parameters', 'deform_conv_forward',
    'modulated_deform_conv_backward', 'modulated_deform_conv_forward', 'ms_deform_attn_backward',
    'ms_deform_attn_forward', 'nms', 'roi_align_backward', 'roi_align_forward',
    'sigmoid_focal_loss_backward', 'sigmoid_focal_loss_forward'
]

"""Deformable convolutions, on torchvision."""
from typing import List, Optional, Sequence

import torch
from torch import Tensor

from .working_dtype import working_dtype


def deform_conv_forward(input: Tensor, weight: Tensor, offset: Tensor, output: Tensor,
                        columns: Tensor, ones: Tensor, kW: int, kH: int, dW: int, dH: int,
                        padW: int, padH: int, dilationW: int, dilationH: int, group: int,
                        deformable_group: int, im2col_step: int) -> None:
    """Convolution that looks beside its taps (Dai et al., "Deformable Convolutional Networks").

    Args:
        input: Feature maps in shape (B, C, H, W), in any memory format.
        weight: Kernels in shape (D, C / group, kH, kW).
        offset: Shifts of the taps, in pixels, in shape (B, deformable_group * kH * kW * 2, H', W'),
            y before x.
        output: Buffer in shape (B, D, H', W'); receives the result.
        columns: Buffer of the compiled op; not used.
        ones: Buffer of the compiled op; not used.
        kW: Width of the kernels; not used, as ``weight`` tells it.
        kH: Height of the kernels; not used, as ``weight`` tells it.
        dW: Stride along x.
        dH: Stride along y.
        padW: Zeros to the left and right.
        padH: Zeros above and below.
        dilationW: Pixels from tap to tap along x.
        dilationH: Pixels from tap to tap along y.
        group: Groups of channels that are convolved apart.
        deformable_group: Groups of channels with offsets of their own.
        im2col_step: Images per kernel launch of the compiled op; not used.
    """
    settings = dH, dW, padH, padW, dilationH, dilationW, group, deformable_group
    output.copy_(_convolve(input, weight, offset, None, None, settings))


def deform_conv_backward_input(input: Tensor, offset: Tensor, gradOutput: Tensor, gradInput: Tensor,
                               gradOffset: Tensor, weight: Tensor, columns: Tensor, kW: int,
                               kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int,
                               dilationH: int, group: int, deformable_group: int,
                               im2col_step: int) -> None:
    """Gradients of :func:`deform_conv_forward` with respect to input and offset.

    Args:
        gradOutput: Gradient of the output in shape (B, D, H', W').
        gradInput: Buffer in the shape of ``input``; receives its gradient.
        gradOffset: Buffer in the shape of ``offset``; receives its gradient.

    The other arguments are those of :func:`deform_conv_forward`.
    """
    settings = dH, dW, padH, padW, dilationH, dilationW, group, deformable_group
    gradients = _gradients(gradOutput, input, weight, offset, None, None, settings)
    gradInput.copy_(gradients[0])
    gradOffset.copy_(gradients[2])


def deform_conv_backward_parameters(input: Tensor, offset: Tensor, gradOutput: Tensor,
                                    gradWeight: Tensor, columns: Tensor, ones: Tensor, kW: int,
                                    kH: int, dW: int, dH: int, padW: int, padH: int,
                                    dilationW: int, dilationH: int, group: int,
                                    deformable_group: int, scale: float, im2col_step: int) -> None:
    """Gradient of :func:`deform_conv_forward` with respect to the weight.

    Args:
        gradOutput: Gradient of the output in shape (B, D, H', W').
        gradWeight: Buffer in the shape of the weight; receives its gradient.
        scale: Factor of the gradient.

    The other arguments are those of :func:`deform_conv_forward`.
    """
    settings = dH, dW, padH, padW, dilationH, dilationW, group, deformable_group
    # The gradient of the weight does not depend on the weight, which is not given.
    gradients = _gradients(gradOutput, input, gradWeight, offset, None, None, settings)
    gradWeight.copy_(scale * gradients[1])


def modulated_deform_conv_forward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor,
                                  offset: Tensor, mask: Tensor, output: Tensor, columns: Tensor,
                                  kernel_h: int, kernel_w: int, stride_h: int, stride_w: int,
                                  pad_h: int, pad_w: int, dilation_h: int, dilation_w: int,
                                  group: int, deformable_group: int, with_bias: bool) -> None:
    """Deformable convolution with a factor at each tap (Zhu et al., "Deformable ConvNets v2").

    Args:
        bias: Bias in shape (D, ); empty without one.
        mask: Factors of the taps in shape (B, deformable_group * kernel_h * kernel_w, H', W').
        with_bias: Whether ``bias`` counts.

    The other arguments are, under names of their own, those of :func:`deform_conv_forward`.
    """
    settings = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    output.copy_(_convolve(input, weight, offset, mask, bias if with_bias else None, settings))


def modulated_deform_conv_backward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor,
                                   offset: Tensor, mask: Tensor, columns: Tensor,
                                   grad_input: Tensor, grad_weight: Tensor, grad_bias: Tensor,
                                   grad_offset: Tensor, grad_mask: Tensor, grad_output: Tensor,
                                   kernel_h: int, kernel_w: int, stride_h: int, stride_w: int,
                                   pad_h: int, pad_w: int, dilation_h: int, dilation_w: int,
                                   group: int, deformable_group: int, with_bias: bool) -> None:
    """Gradients of :func:`modulated_deform_conv_forward` with respect to all its tensors.

    Args:
        grad_input: Buffer in the shape of ``input``; receives its gradient, as do the others.
        grad_weight: Buffer in the shape of ``weight``.
        grad_bias: Buffer in the shape of ``bias``; stays as it is without one.
        grad_offset: Buffer in the shape of ``offset``.
        grad_mask: Buffer in the shape of ``mask``.
        grad_output: Gradient of the output in shape (B, D, H', W').

    The other arguments are those of :func:`modulated_deform_conv_forward`.
    """
    settings = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    gradients = _gradients(grad_output, input, weight, offset, mask, bias if with_bias else None,
                           settings)
    buffers = [grad_input, grad_weight, grad_offset, grad_mask]
    for buffer, gradient in zip(buffers + [grad_bias] * with_bias, gradients):
        buffer.copy_(gradient)


def _convolve(input: Tensor, weight: Tensor, offset: Tensor, mask: Optional[Tensor],
              bias: Optional[Tensor], settings: Sequence[int]) -> Tensor:
    return torch.ops.torchvision.deform_conv2d(
        *_prepared(input, weight, offset, mask, bias), *settings, mask is not None)


def _gradients(grad_output: Tensor, input: Tensor, weight: Tensor, offset: Tensor,
               mask: Optional[Tensor], bias: Optional[Tensor],
               settings: Sequence[int]) -> List[Tensor]:
    """Returns the gradients of input, weight, offset, mask and bias."""
    tensors = _prepared(input, weight, offset, mask, bias)
    return torch.ops.torchvision._deform_conv2d_backward(
        grad_output.to(tensors[0].dtype), *tensors, *settings, mask is not None)


def _prepared(input: Tensor, weight: Tensor, offset: Tensor, mask: Optional[Tensor],
              bias: Optional[Tensor]) -> List[Tensor]:
    """Fills in what torchvision wants for no mask and no bias, in one type."""
    if mask is None:
        mask = input.new_zeros(input.size(0), 1)
    if bias is None:
        bias = input.new_zeros(weight.size(0))
    tensors = (input, weight, offset, mask, bias)
    dtype = working_dtype(*tensors)
    return [tensor.to(dtype) for tensor in tensors]

"""Deformable convolutions, through mmcv's own functions, against taps sampled one after another."""
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

import mmfreeze  # noqa: F401  isort: skip  puts the ops in place, so before mmcv
import mmcv.ops
from mmfreeze.compat.ops import deform_conv_backward_parameters

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)]
HALVES = [torch.float16, torch.bfloat16]
# All along y and x apart, so that none can be taken for the other.
KERNEL, STRIDE, PADDING, DILATION = (2, 3), (1, 2), (2, 1), (2, 1)
GROUPS, OFFSET_GROUPS = 2, 2
SETTINGS = STRIDE, PADDING, DILATION, GROUPS, OFFSET_GROUPS
OUT = (7, 3)


@pytest.fixture
def tensors():
    """Input, offsets, factors, kernels and bias in float64.

    The offsets are odd multiples of 1 / 64: exact in half types, and never whole pixels, where the
    gradient jumps.
    """
    taps = OFFSET_GROUPS * KERNEL[0] * KERNEL[1]
    shapes = (2, 4, 5, 6), (2, 2 * taps, *OUT), (2, taps, *OUT), (6, 2, *KERNEL), (6, )
    input, offset, *others = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    return [input, (2 * (32 * offset).round() + 1) / 64, *others]


def expected(input, offset, mask, weight, bias):
    """Convolution over the taps' values, found by grid sampling in pixels."""
    height, width = input.shape[-2:]
    groups = input.chunk(OFFSET_GROUPS, dim=1)
    y0 = torch.arange(OUT[0], dtype=input.dtype)[:, None] * STRIDE[0] - PADDING[0]
    x0 = torch.arange(OUT[1], dtype=input.dtype) * STRIDE[1] - PADDING[1]
    output = 0
    for i in range(KERNEL[0]):
        for j in range(KERNEL[1]):
            columns = []
            for g, channels in enumerate(groups):
                tap = (g * KERNEL[0] + i) * KERNEL[1] + j
                y = y0 + i * DILATION[0] + offset[:, 2 * tap]
                x = x0 + j * DILATION[1] + offset[:, 2 * tap + 1]
                grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
                columns.append(F.grid_sample(channels, grid, align_corners=True)
                               * mask[:, tap, None])
            output = output + F.conv2d(torch.cat(columns, dim=1), weight[:, :, i:i + 1, j:j + 1],
                                       groups=GROUPS)
    return output + bias[:, None, None]


def plain(input, offset, mask, weight, bias):
    """mmcv's first version, which knows neither factors nor bias."""
    return mmcv.ops.deform_conv2d(input, offset, weight, *SETTINGS)


def modulated(input, offset, mask, weight, bias):
    return mmcv.ops.modulated_deform_conv2d(input, offset, mask, weight, bias, *SETTINGS)


def unbiased(input, offset, mask, weight, bias):
    return mmcv.ops.modulated_deform_conv2d(input, offset, mask, weight, None, *SETTINGS)


def neutral(op, tensors):
    """Makes neutral what an op does not know: factors of one, a bias of zero."""
    input, offset, mask, weight, bias = tensors
    mask = torch.ones_like(mask) if op is plain else mask
    return [input, offset, mask, weight, bias if op is modulated else torch.zeros_like(bias)]


def used(op):
    """Which of the five tensors an op knows."""
    return dict(plain=(0, 1, 3), modulated=(0, 1, 2, 3, 4), unbiased=(0, 1, 2, 3))[op.__name__]


OPS = pytest.mark.parametrize('op', [plain, modulated, unbiased], ids=lambda op: op.__name__)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@OPS
def test_forward_and_backward(tensors, op, layout, device):
    tensors = neutral(op, tensors)
    reference = [tensor.clone().requires_grad_() for tensor in tensors]
    output = expected(*reference)
    grad = torch.randn_like(output)
    output.backward(grad)

    tensors[0] = tensors[0].to(memory_format=layout)
    tensors = [tensor.to(device).requires_grad_() for tensor in tensors]
    ours = op(*tensors)
    torch.testing.assert_close(ours.detach().cpu(), output.detach())
    ours.backward(grad.to(device).to(memory_format=layout))
    for i in used(op):
        torch.testing.assert_close(tensors[i].grad.cpu(), reference[i].grad)


@pytest.mark.parametrize('device', DEVICES)
@OPS
def test_gradcheck(tensors, op, device):
    # One image and few channels: the check asks for every entry. CUDA adds in any order.
    tensors = [tensor.to(device) for tensor in neutral(op, tensors)]
    tensors = [tensor[:1] if tensor.dim() == 4 and i != 3 else tensor
               for i, tensor in enumerate(tensors)]
    tensors = [tensor.requires_grad_(i in used(op)) for i, tensor in enumerate(tensors)]
    assert gradcheck(op, tensors, nondet_tol=1e-10, fast_mode=True)


def test_the_scale_of_the_weights_gradient(tensors):
    """A factor that mmcv's function leaves at 1."""
    input, offset, _, weight, _ = tensors
    grad = torch.randn(2, 6, *OUT, dtype=torch.float64)
    once, thrice = torch.zeros_like(weight), torch.zeros_like(weight)
    for buffer, scale in (once, 1), (thrice, 3):
        deform_conv_backward_parameters(
            input, offset, grad, buffer, None, None, kW=3, kH=2, dW=2, dH=1, padW=1, padH=2,
            dilationW=1, dilationH=2, group=2, deformable_group=2, scale=scale, im2col_step=1)
    assert once.any()
    torch.testing.assert_close(thrice, 3 * once)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', HALVES)
@OPS
def test_half_types_are_computed_in_float32(tensors, op, dtype, device):
    tensors = [tensor.to(device, dtype).requires_grad_() for tensor in neutral(op, tensors)]
    reference = [tensor.detach().double().cpu().requires_grad_() for tensor in tensors]
    output = expected(*reference)
    output.sum().backward()
    ours = op(*tensors)
    assert ours.dtype == dtype
    rounding = torch.finfo(dtype).eps  # one, at the end
    torch.testing.assert_close(ours.detach().cpu().double(), output.detach(), rtol=rounding,
                               atol=1e-4)
    ours.sum().backward()
    for i in used(op):
        assert tensors[i].grad.dtype == dtype
        torch.testing.assert_close(tensors[i].grad.cpu().double(), reference[i].grad,
                                   rtol=rounding, atol=1e-4)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('kind', [mmcv.ops.DeformConv2dPack, mmcv.ops.ModulatedDeformConv2dPack])
def test_without_offsets_it_is_a_convolution(kind, device):
    """The layers that configs name start with offsets of zero (and factors of a half)."""
    layer = kind(4, 6, 3, padding=1, bias=False).to(device).double()
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64, device=device)
    convolution = F.conv2d(x, layer.weight, padding=1)
    if kind is mmcv.ops.ModulatedDeformConv2dPack:
        convolution = .5 * convolution
    torch.testing.assert_close(layer(x), convolution)
    layer(x).sum().backward()
    assert layer.conv_offset.weight.grad.any() and layer.weight.grad.any()

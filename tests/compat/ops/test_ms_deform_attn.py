"""Multi-scale deformable attention, through mmcv's own function, against loops over points."""
import math

import pytest
import torch
from torch.autograd import gradcheck

import mmfreeze  # noqa: F401  isort: skip  puts the ops in place, so before mmcv
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)]
HALVES = [torch.float16, torch.bfloat16]
SHAPES = [(3, 4), (2, 1)]  # of the two levels
STARTS = [0, 12]
BATCH, QUERIES, HEADS, CHANNELS, POINTS = 2, 3, 2, 2, 2


@pytest.fixture
def tensors():
    """Values, points (inside, across the borders, far outside) and weights, in float64.

    The points are odd multiples of 1 / 64: exact in half types, and never at the centre of a
    pixel, where the gradient jumps.
    """
    value = torch.randn(BATCH, 14, HEADS, CHANNELS, dtype=torch.float64)
    points = (2 * torch.randint(-6, 38, (BATCH, QUERIES, HEADS, 2, POINTS, 2)).double() + 1) / 64
    points[0, 0, 0, 0, 0] = torch.tensor([3., -2.])
    weights = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, dtype=torch.float64)
    return value, points, weights


def attend(value, points, weights, step=64):
    shapes = torch.tensor(SHAPES, device=value.device)
    starts = torch.tensor(STARTS, device=value.device)
    return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, points, weights, step)


def expected(value, points, weights):
    """Point after point: the four pixels around it, each by its distance."""
    output = []
    for b in range(BATCH):
        for q in range(QUERIES):
            for m in range(HEADS):
                total = 0
                for level, ((height, width), start) in enumerate(zip(SHAPES, STARTS)):
                    for p in range(POINTS):
                        x, y = points[b, q, m, level, p]
                        # Pixel k has its centre at (k + .5) / size.
                        x, y = x * width - .5, y * height - .5
                        left, top = math.floor(x.item()), math.floor(y.item())
                        for row in (top, top + 1):
                            for column in (left, left + 1):
                                if 0 <= row < height and 0 <= column < width:
                                    share = (1 - (x - column).abs()) * (1 - (y - row).abs())
                                    pixel = value[b, start + row * width + column, m]
                                    total = total + weights[b, q, m, level, p] * share * pixel
                output.append(total + value.new_zeros(CHANNELS))
    return torch.stack(output).view(BATCH, QUERIES, HEADS * CHANNELS)


@pytest.mark.parametrize('device', DEVICES)
def test_forward_and_backward(tensors, device):
    reference = [tensor.clone().requires_grad_() for tensor in tensors]
    output = expected(*reference)
    grad = torch.randn_like(output)
    output.backward(grad)

    tensors = [tensor.to(device).requires_grad_() for tensor in tensors]
    ours = attend(*tensors)
    torch.testing.assert_close(ours.detach().cpu(), output.detach())
    ours.backward(grad.to(device))
    for tensor, other in zip(tensors, reference):
        torch.testing.assert_close(tensor.grad.cpu(), other.grad)
        assert other.grad.any()


@pytest.mark.parametrize('device', DEVICES)
def test_gradcheck(tensors, device):
    tensors = [tensor.to(device).requires_grad_() for tensor in tensors]
    # CUDA adds the gradients of the values atomically, in any order.
    assert gradcheck(attend, tensors, nondet_tol=1e-12)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', HALVES)
def test_half_types_are_computed_in_float32(tensors, dtype, device):
    tensors = [tensor.to(device, dtype).requires_grad_() for tensor in tensors]
    reference = [tensor.detach().double().cpu().requires_grad_() for tensor in tensors]
    output = expected(*reference)
    output.sum().backward()
    ours = attend(*tensors)
    assert ours.dtype == dtype
    rounding = torch.finfo(dtype).eps  # one, at the end
    torch.testing.assert_close(ours.detach().cpu().double(), output.detach(), rtol=rounding,
                               atol=1e-5)
    ours.sum().backward()
    for tensor, other in zip(tensors, reference):
        assert tensor.grad.dtype == dtype
        torch.testing.assert_close(tensor.grad.cpu().double(), other.grad, rtol=rounding, atol=1e-5)


@pytest.mark.parametrize('device', DEVICES)
def test_no_queries(tensors, device):
    value, points, weights = (tensor.to(device).requires_grad_() for tensor in tensors)
    output = attend(value, points[:, :0], weights[:, :0])
    assert output.shape == (BATCH, 0, HEADS * CHANNELS)
    output.sum().backward()
    assert not value.grad.any()


@pytest.mark.parametrize('device', DEVICES)
def test_autocast_does_not_lower_what_is_computed(tensors, device):
    """As in mixed precision on CUDA: float32 stays float32 inside."""
    tensors = [tensor.float().to(device) for tensor in tensors]
    with torch.autocast(device, torch.bfloat16):
        output = attend(*tensors)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output.cpu(), expected(*(t.cpu() for t in tensors)))

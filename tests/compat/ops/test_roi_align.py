"""RoIAlign, through mmcv's own function, against the formula written down here."""
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import mmfreeze  # noqa: F401  isort: skip  puts the ops in place, so before mmcv
import mmcv.ops

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)]
HALVES = [torch.float16, torch.bfloat16]
OUT = (3, 2)
SCALE = .5
# (image, x1, y1, x2, y2): inside, across two borders, under a pixel, of no area, outside.
ROIS = torch.tensor([[1, 3., 2., 17., 13.], [0, -9.3, -4.1, 8.2, 30.], [1, 5.5, 6.25, 6., 6.5],
                     [0, 7., 7., 7., 7.], [2, 60., 60., 70., 90.], [2, 1., 1., 20., 16.]],
                    dtype=torch.float64)


@pytest.fixture
def features():
    return torch.randn(3, 2, 9, 11, dtype=torch.float64)


def interpolation(start, length, bins, size, sampling_ratio):
    """Returns the (bins, size) matrix that averages linear interpolations along one axis."""
    samples = sampling_ratio or int(np.ceil(length / bins))
    matrix = np.zeros((bins, size))
    for b in range(bins):
        for s in range(samples):
            at = start + length / bins * (b + (s + .5) / samples)
            if -1 <= at <= size:
                hat = 1 - np.abs(np.arange(size) - np.clip(at, 0, size - 1))
                matrix[b] += np.maximum(hat, 0) / samples
    return matrix


def matrices(rois, shape, sampling_ratio, aligned):
    """Yields image index and the matrices Y, X of every roi: the output is Y @ channel @ X.T."""
    for image, x1, y1, x2, y2 in rois.tolist():
        start = np.array([y1, x1]) * SCALE - .5 * aligned
        length = np.array([y2 - y1, x2 - x1]) * SCALE
        if not aligned:
            length = np.maximum(length, 1)
        yield int(image), *(interpolation(start[i], length[i], OUT[i], shape[2 + i], sampling_ratio)
                            for i in range(2))


def expected_roi_align(features, rois, sampling_ratio, aligned):
    features = features.double().cpu().numpy()
    return torch.tensor(
        np.array([
            y @ features[image] @ x.T
            for image, y, x in matrices(rois, features.shape, sampling_ratio, aligned)
        ]))


def expected_gradient(grad, shape, rois, sampling_ratio, aligned):
    gradient = np.zeros(shape)
    rows = matrices(rois, shape, sampling_ratio, aligned)
    for (image, y, x), row in zip(rows, grad.double().cpu().numpy()):
        gradient[image] += y.T @ row @ x
    return torch.tensor(gradient)


def roi_align(features, rois, sampling_ratio=0, aligned=True, mode='avg'):
    return mmcv.ops.roi_align(features, rois, OUT, SCALE, sampling_ratio, mode, aligned)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_roi_align(features, sampling_ratio, aligned, layout, device):
    features = features.to(device).to(memory_format=layout).requires_grad_()
    output = roi_align(features, ROIS.to(device), sampling_ratio, aligned)
    expected = expected_roi_align(features.detach(), ROIS, sampling_ratio, aligned)
    torch.testing.assert_close(output.detach().cpu(), expected)

    grad = torch.randn(output.shape, dtype=output.dtype).to(device).to(memory_format=layout)
    output.backward(grad)
    expected = expected_gradient(grad, features.shape, ROIS, sampling_ratio, aligned)
    torch.testing.assert_close(features.grad.cpu(), expected)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_roi_align_gradcheck(features, sampling_ratio, aligned, device):
    rois = ROIS.to(device)
    # CUDA adds the gradients atomically, in any order.
    assert gradcheck(lambda x: roi_align(x, rois, sampling_ratio, aligned),
                     features.to(device).requires_grad_(), nondet_tol=1e-12)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('rois_dtype', [torch.float32, None], ids=['float32 rois', 'half rois'])
@pytest.mark.parametrize('dtype', HALVES)
def test_roi_align_computes_half_types_in_float32(features, dtype, rois_dtype, device):
    features = features.to(device, dtype).requires_grad_()
    rois = ROIS.to(device, rois_dtype or dtype)
    output = roi_align(features, rois, 2)
    assert output.dtype == dtype
    expected = expected_roi_align(features.detach(), rois, 2, True)
    rounding = torch.finfo(dtype).eps  # one, at the end
    torch.testing.assert_close(output.detach().cpu().double(), expected, rtol=rounding, atol=1e-6)

    output.backward(torch.ones_like(output))
    assert features.grad.dtype == dtype
    expected = expected_gradient(torch.ones(output.shape), features.shape, rois, 2, True)
    torch.testing.assert_close(features.grad.cpu().double(), expected, rtol=rounding, atol=1e-6)


@pytest.mark.parametrize('device', DEVICES)
def test_roi_align_without_rois(features, device):
    features = features.to(device).requires_grad_()
    output = roi_align(features, ROIS[:0].to(device))
    assert output.shape == (0, 2, *OUT)
    output.sum().backward()
    assert features.grad.shape == features.shape
    assert not features.grad.any()

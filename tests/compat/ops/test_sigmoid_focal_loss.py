"""Sigmoid focal loss, through mmcv's own function, against the formula written down here."""
import pytest
import torch
from torch.autograd import gradcheck

import mmfreeze  # noqa: F401  isort: skip  puts the ops in place, so before mmcv
import mmcv.ops
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)]
HALVES = [torch.float16, torch.bfloat16]
GAMMA, ALPHA = 1.5, .3
WEIGHT = torch.tensor([.5, 2., 1., 0.], dtype=torch.float64)


@pytest.fixture
def logits():
    """Logits of 6 rows and 4 classes, the easy and the hopeless among them."""
    logits = 3 * torch.randn(6, 4, dtype=torch.float64)
    logits[0, :2] = torch.tensor([40., -40.])
    return logits


@pytest.fixture
def target():
    return torch.tensor([0, 1, 4, 3, 2, 4])  # 4: none of the classes


def expected(logits, target, weight=None):
    """Element after element, with plain probabilities."""
    rows = []
    for row, true in zip(logits, target.tolist()):
        p = 1 / (1 + (-row).exp())
        other = 1 / (1 + row.exp())
        losses = [
            -ALPHA * other[c]**GAMMA * p[c].log() if c == true else
            -(1 - ALPHA) * p[c]**GAMMA * other[c].log() for c in range(len(row))]
        rows.append(torch.stack(losses) * (1 if weight is None or true == 4 else weight[true]))
    return torch.stack(rows)


def loss(logits, target, weight=None, reduction='none'):
    return mmcv.ops.sigmoid_focal_loss(logits, target, GAMMA, ALPHA, weight, reduction)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('weight', [None, WEIGHT], ids=['no weight', 'weight'])
def test_forward_and_backward(logits, target, weight, device):
    reference = logits.clone().requires_grad_()
    losses = expected(reference, target, weight)
    losses.sum().backward()

    logits = logits.to(device).requires_grad_()
    output = loss(logits, target.to(device), None if weight is None else weight.to(device))
    torch.testing.assert_close(output.detach().cpu(), losses.detach())
    # mmcv's function multiplies its own derivative by the incoming one.
    output.sum().backward()
    torch.testing.assert_close(logits.grad.cpu(), reference.grad)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_gradcheck(logits, target, reduction, device):
    logits, target = logits[1:].to(device).requires_grad_(), target[1:].to(device)
    assert gradcheck(lambda x: loss(x, target, reduction=reduction), logits)


@pytest.mark.parametrize('device', DEVICES)
def test_it_is_the_loss_that_mmdet_computes_on_the_cpu(logits, target, device):
    one_hot = torch.nn.functional.one_hot(target, 5)[:, :4]
    theirs = py_sigmoid_focal_loss(logits.clamp(-8, 8), one_hot, gamma=GAMMA, alpha=ALPHA,
                                   reduction='sum')
    ours = loss(logits.clamp(-8, 8).to(device), target.to(device), reduction='sum')
    torch.testing.assert_close(ours.cpu(), theirs)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', HALVES)
def test_half_types_are_computed_in_float32(logits, target, dtype, device):
    logits = logits.to(device, dtype).requires_grad_()
    reference = logits.detach().double().cpu().requires_grad_()
    losses = expected(reference, target)
    losses.sum().backward()
    output = loss(logits, target.to(device))
    assert output.dtype == dtype
    rounding = torch.finfo(dtype).eps  # one, at the end
    torch.testing.assert_close(output.detach().cpu().double(), losses.detach(), rtol=rounding,
                               atol=1e-6)
    output.sum().backward()
    assert logits.grad.dtype == dtype
    torch.testing.assert_close(logits.grad.cpu().double(), reference.grad, rtol=rounding,
                               atol=1e-6)


@pytest.mark.parametrize('device', DEVICES)
def test_hopeless_logits_stay_finite(device):
    logits = torch.tensor([[-200., 200.]], device=device, requires_grad=True)
    output = loss(logits, torch.tensor([0], device=device))
    torch.testing.assert_close(output.detach().cpu(), torch.tensor([[60., 140.]]))
    output.sum().backward()
    torch.testing.assert_close(logits.grad.cpu(), torch.tensor([[-.3, .7]]))


@pytest.mark.parametrize('device', DEVICES)
def test_no_rows(device):
    logits = torch.empty(0, 4, device=device, requires_grad=True)
    output = loss(logits, torch.empty(0, dtype=torch.long, device=device), reduction='sum')
    output.backward()
    assert output == 0 and logits.grad.shape == (0, 4)

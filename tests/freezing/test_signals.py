"""Gradient norms against plain formulas."""
import math

import pytest
import torch
from torch import nn

from mmfreeze.freezing import GradNorm, LayerStack, WeightChange


@pytest.fixture
def stack():
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
    return LayerStack(model, [(str(i),) for i in range(4)])


def set_gradients(stack, factor=1.):
    """Fills the gradients, and returns the norm of each layer's."""
    norms = []
    for params in stack.params:
        for param in params:
            param.grad = torch.randn_like(param) * factor if param.requires_grad else None
        norms.append(math.sqrt(sum((p.grad.double() ** 2).sum().item()
                                   for p in params if p.grad is not None)))
    return norms


def test_mean_of_norms(stack):
    signal = GradNorm(stack)
    rows = []
    for _ in range(5):
        rows.append(set_gradients(stack))
        signal.update()
    assert signal.read() == pytest.approx([sum(col) / 5 for col in zip(*rows)], rel=1e-6)
    signal.reset()
    assert signal.read() is None


def test_norm_of_the_sum(stack):
    signal = GradNorm(stack, accumulate='sum')
    total = [[torch.zeros_like(p) for p in params] for params in stack.params]
    for _ in range(3):
        set_gradients(stack)
        signal.update()
        for sums, params in zip(total, stack.params):
            for s, p in zip(sums, params):
                s += p.grad
    expected = [torch.cat([s.flatten() for s in sums]).norm().item() for sums in total]
    assert signal.read() == pytest.approx(expected, rel=1e-6)


def test_division_by_size(stack):
    plain, divided = GradNorm(stack), GradNorm(stack, by_size=True)
    set_gradients(stack)
    plain.update()
    divided.update()
    assert divided.read() == pytest.approx([g / math.sqrt(12) for g in plain.read()])


def test_frozen_layers_are_left_out(stack):
    signal = GradNorm(stack)
    stack.freeze(2)
    norms = set_gradients(stack)
    signal.update()
    assert signal.read()[:2] == [None, None]
    assert signal.read()[2:] == pytest.approx(norms[2:])


def test_missing_gradients_count_as_zero(stack):
    signal = GradNorm(stack)
    norms = set_gradients(stack)
    for param in stack.params[1]:
        param.grad = None
    signal.update()
    assert signal.read() == pytest.approx([norms[0], 0, norms[2], norms[3]])


@pytest.mark.parametrize('accumulate', ['mean', 'sum'])
@pytest.mark.parametrize('bad', [math.inf, math.nan])
def test_steps_that_overflowed_do_not_enter(stack, accumulate, bad):
    signal = GradNorm(stack, accumulate)
    norms = set_gradients(stack)
    signal.update()
    set_gradients(stack)
    stack.params[3][0].grad[0, 0] = bad
    signal.update()
    assert signal.read() == pytest.approx(norms)


def test_an_overflow_elsewhere_in_the_model_skips_the_step(stack):
    signal = GradNorm(stack)
    expected = set_gradients(stack)
    signal.update(all_grads=[torch.ones(3)])
    set_gradients(stack)
    signal.update(all_grads=[torch.ones(3), torch.tensor([1., math.inf])])
    assert signal.read() == pytest.approx(expected, rel=1e-6)


def test_loss_scale_is_divided_out(stack):
    for accumulate in ('mean', 'sum'):
        signal = GradNorm(stack, accumulate)
        norms = set_gradients(stack)
        for params in stack.params:
            for param in params:
                param.grad *= 2. ** 40
        signal.update(torch.tensor(2. ** 40))
        assert signal.read() == pytest.approx(norms)


@pytest.mark.parametrize('accumulate', ['mean', 'sum'])
def test_interval_goes_on_after_a_round_trip(stack, accumulate):
    whole, half = GradNorm(stack, accumulate), GradNorm(stack, accumulate)
    set_gradients(stack)
    whole.update()
    half.update()
    other = GradNorm(stack, accumulate)
    other.load_state_dict(half.state_dict())
    set_gradients(stack, 2.)
    whole.update()
    other.update()
    assert other.read() == whole.read()


def test_ranks_are_averaged(stack):
    signal = GradNorm(stack)
    norms = set_gradients(stack)
    signal.update()

    def as_if_two_ranks(stats):
        # The other rank saw no finite gradient: its sums and its count are zero.
        stats /= 2

    assert signal.read(as_if_two_ranks) == pytest.approx(norms)


def test_unknown_accumulation_is_named(stack):
    with pytest.raises(ValueError, match='accumulate'):
        GradNorm(stack, 'max')


def change_weights(stack):
    """Moves all parameters at random; returns ||now - before|| / ||before|| of each layer."""
    ratios = []
    with torch.no_grad():
        for params in stack.params:
            before = torch.cat([p.double().flatten() for p in params])
            for param in params:
                param += .1 * torch.randn_like(param)
            now = torch.cat([p.double().flatten() for p in params])
            ratios.append(((now - before).norm() / before.norm()).item())
    return ratios


def test_relative_change_of_weights(stack):
    signal = WeightChange(stack)
    for _ in range(3):
        assert signal.read() != pytest.approx(expected := change_weights(stack), rel=1e-5)
        assert signal.read() == pytest.approx(expected, rel=1e-5)
        signal.reset()
    assert signal.read() == [0.] * 4


def test_changes_of_frozen_layers_are_left_out(stack):
    signal = WeightChange(stack)
    stack.freeze(2)
    assert signal.read()[:2] == [None] * 2
    signal.reset()
    assert sorted(signal.state_dict()['before']) == [2, 3]


def test_a_layer_of_zeros(stack):
    with torch.no_grad():
        for layer in (0, 1):
            for param in stack.params[layer]:
                param.zero_()
    signal = WeightChange(stack)
    with torch.no_grad():
        stack.params[1][0][0, 0] = 1e-3
    assert signal.read() == [0., 1., 0., 0.]


def test_changes_go_on_from_a_checkpoint(stack):
    signal = WeightChange(stack)
    first = change_weights(stack)
    state = {k: {i: [t.clone() for t in v] for i, v in d.items()}
             for k, d in signal.state_dict().items()}
    resumed = WeightChange(stack)  # made when the weights have moved already
    resumed.load_state_dict(state)
    assert resumed.read() == signal.read() == pytest.approx(first, rel=1e-5)


def test_ranks_agree_on_changes(stack):
    signal = WeightChange(stack)
    change_weights(stack)
    assert signal.read(lambda stats: stats.fill_(.25)) == [.25] * 4

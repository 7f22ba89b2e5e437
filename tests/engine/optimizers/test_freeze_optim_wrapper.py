"""The signal between backward and step, with and without loss scaling."""
import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmfreeze.engine.optimizers import (AmpFreezeOptimWrapper, FreezeOptimWrapper,
                                        GradSignalMixin)
from mmfreeze.freezing import GradNorm, LayerStack


class ScaledOptimWrapper(OptimWrapper):
    """What ``AmpOptimWrapper`` does with its scaler, which it refuses to do on a CPU."""

    def __init__(self, loss_scaler, **kwargs):
        super().__init__(**kwargs)
        self.loss_scaler = loss_scaler

    def backward(self, loss):
        self.loss_scaler.scale(loss).backward()
        self._inner_count += 1

    def step(self):
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()


class ScaledFreezeOptimWrapper(GradSignalMixin, ScaledOptimWrapper):
    pass


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))


def norms_of(model, inputs):
    model.zero_grad()
    model(inputs).square().mean().backward()
    norms = [torch.cat([p.grad.flatten() for p in layer.parameters()]).norm().item()
             for layer in model[:2]]
    model.zero_grad()
    return norms


def stack_of(model):
    return LayerStack(model, [('0',), ('1',)])


def test_without_a_signal_it_is_mmengines_wrapper(model):
    wrapper = FreezeOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.))
    assert wrapper.grad_signal is None
    wrapper.update_params(model(torch.ones(2, 3)).sum())
    assert wrapper.inner_count == 1


def test_signal_is_read_before_clipping_and_after_accumulation(model):
    wrapper = FreezeOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.),
                                 accumulative_counts=2, clip_grad=dict(max_norm=1e-3))
    wrapper.grad_signal = GradNorm(stack_of(model))
    inputs = torch.randn(4, 3)
    expected = norms_of(model, inputs)
    for half in inputs.chunk(2):
        wrapper.update_params(model(half).square().mean())
    assert wrapper.grad_signal.read() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('clip', [None, dict(max_norm=1e-3)])
def test_loss_scale_is_taken_out_and_overflow_steps_left_out(model, clip):
    scaler = torch.amp.GradScaler('cpu', init_scale=2. ** 10, growth_interval=100)
    wrapper = ScaledFreezeOptimWrapper(
        scaler, optimizer=torch.optim.SGD(model.parameters(), lr=.1), clip_grad=clip)
    wrapper.grad_signal = GradNorm(stack_of(model))
    inputs = torch.randn(4, 3)
    expected = norms_of(model, inputs)
    wrapper.update_params(model(inputs).square().mean())
    assert wrapper.grad_signal.read() == pytest.approx(expected, rel=1e-5)

    before = [p.detach().clone() for p in model.parameters()]
    wrapper.update_params(model(inputs).square().mean() * float('inf'))
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters())), 'step was skipped'
    assert scaler.get_scale() == 2. ** 9, 'the scaler saw the overflow'
    assert wrapper.grad_signal.read() == pytest.approx(expected, rel=1e-5)

    # A later step at the new scale: the mean of the two.
    second = norms_of(model, inputs)
    wrapper.update_params(model(inputs).square().mean())
    mean = [(a + b) / 2 for a, b in zip(expected, second)]
    assert wrapper.grad_signal.read() == pytest.approx(mean, rel=1e-5)


def test_a_step_that_is_skipped_for_the_head_does_not_enter(model):
    scaler = torch.amp.GradScaler('cpu', init_scale=2. ** 10)
    wrapper = ScaledFreezeOptimWrapper(scaler,
                                       optimizer=torch.optim.SGD(model.parameters(), lr=.1))
    wrapper.grad_signal = GradNorm(stack_of(model))
    model[2].bias.register_hook(lambda grad: grad * math.inf)
    before = [p.detach().clone() for p in model.parameters()]
    wrapper.update_params(model(torch.randn(4, 3)).square().mean())
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters())), 'step was skipped'
    assert wrapper.grad_signal.read() is None


def test_an_interval_of_overflows_only_has_no_signal(model):
    wrapper = ScaledFreezeOptimWrapper(torch.amp.GradScaler('cpu'),
                                       optimizer=torch.optim.SGD(model.parameters(), lr=.1))
    wrapper.grad_signal = GradNorm(stack_of(model))
    wrapper.update_params(model(torch.ones(2, 3)).sum() * float('nan'))
    assert wrapper.grad_signal.read() is None


def test_disabled_scaler_means_no_scale(model):
    wrapper = ScaledFreezeOptimWrapper(torch.amp.GradScaler('cpu', enabled=False),
                                       optimizer=torch.optim.SGD(model.parameters(), lr=0.))
    wrapper.grad_signal = GradNorm(stack_of(model))
    inputs = torch.randn(4, 3)
    expected = norms_of(model, inputs)
    wrapper.update_params(model(inputs).square().mean())
    assert wrapper.grad_signal.read() == pytest.approx(expected, rel=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_amp_wrapper_on_cuda(dtype):
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 1)).cuda()
    wrapper = AmpFreezeOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.), dtype=dtype,
        loss_scale='dynamic' if dtype == 'float16' else dict(enabled=False))
    wrapper.grad_signal = GradNorm(stack_of(model))
    inputs = torch.randn(32, 64, device='cuda')
    expected = norms_of(model, inputs)
    with wrapper.optim_context(model):
        loss = model(inputs).square().mean()
    wrapper.update_params(loss)
    assert wrapper.grad_signal.read() == pytest.approx(expected, rel=.05)

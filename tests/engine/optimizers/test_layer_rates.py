"""Learning rates by layer that hold for one step and are exactly gone after it."""
import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.optim import OptimWrapper
from torch import nn

from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.engine.optimizers import (FreezeOptimWrapper, LayerGroupsConstructor,
                                        LayerRatesMixin)
from mmfreeze.freezing import LayerStack

RATES = [.3, .1, .7]  # of two layers and the rest; none of them survives x / f * f for all f


class ScaledOptimWrapper(OptimWrapper):
    """What ``AmpOptimWrapper`` does with its scaler, which it refuses to do on a CPU."""

    loss_scaler = torch.amp.GradScaler('cpu', init_scale=2. ** 10)

    def backward(self, loss):
        self.loss_scaler.scale(loss).backward()
        self._inner_count += 1

    def step(self):
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()


class ScaledLayerRatesWrapper(LayerRatesMixin, ScaledOptimWrapper):
    pass


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))


def wrap(model, wrapper=FreezeOptimWrapper, **kwargs):
    """A wrapper around plain SGD, and the rates of each of its steps."""
    optimizer = torch.optim.SGD([
        dict(params=list(layer.parameters()), lr=lr) for layer, lr in zip(model, RATES)])
    used = []
    optimizer.register_step_pre_hook(
        lambda *_: used.append([group['lr'] for group in optimizer.param_groups]))
    wrapped = wrapper(optimizer=optimizer, **kwargs)
    wrapped.use_layers(LayerStack(model, [('0',), ('1',)]))
    return wrapped, used


def rates_of(wrapper):
    return [group['lr'] for group in wrapper.optimizer.param_groups]


@pytest.mark.parametrize('kind', [FreezeOptimWrapper, ScaledLayerRatesWrapper])
def test_a_step_moves_each_layer_at_its_rate(model, kind):
    wrapper, used = wrap(model, kind)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.ones(2, 3)).sum().backward()
    grads = [p.grad.clone() for p in model.parameters()]
    wrapper.zero_grad()
    wrapper.lr_factors = [0., .5, .1]
    wrapper.update_params(model(torch.ones(2, 3)).sum())
    assert used == [[0., .5 * .1, .1 * .7]]
    assert rates_of(wrapper) == RATES
    for p, old, grad, lr in zip(model.parameters(), before, grads, [0, 0, .05, .05, .07, .07]):
        assert torch.allclose(p, old - lr * grad)


def test_without_factors_it_is_mmengines_step(model):
    wrapper, used = wrap(model)
    wrapper.update_params(model(torch.ones(2, 3)).sum())
    assert used == [RATES]


def test_rates_come_back_when_the_step_is_skipped_or_raises(model):
    wrapper, used = wrap(model, ScaledLayerRatesWrapper)
    wrapper.lr_factors = [.1, .2, .3]
    wrapper.update_params(model(torch.ones(2, 3)).sum() * float('inf'))
    assert used == [] and rates_of(wrapper) == RATES

    def fail(*_):
        raise RuntimeError('out of memory')

    wrapper.optimizer.register_step_pre_hook(fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        wrapper.update_params(model(torch.ones(2, 3)).sum())
    assert rates_of(wrapper) == RATES


def test_accumulation_uses_the_factors_of_the_iteration_that_steps(model):
    wrapper, used = wrap(model, accumulative_counts=2)
    for factor in (.2, .4, .6, .8):
        wrapper.lr_factors = [factor] * 3
        wrapper.update_params(model(torch.ones(2, 3)).sum())
        assert rates_of(wrapper) == RATES
    assert used == [[lr * factor for lr in RATES] for factor in (.4, .8)]


def detector(**backbone):
    model = nn.Module()
    model.backbone = ResNet(18, stem_channels=8, base_channels=8, **backbone)
    model.head = nn.Linear(2, 2)
    return model


def build(model):
    constructor = LayerGroupsConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=.1)))
    return FreezeOptimWrapper(constructor(model).optimizer)


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1])
def test_what_the_model_froze_counts_in_no_layer(frozen_stages):
    """The constructor counts all eight blocks, the stack only those that train."""
    model = detector(frozen_stages=frozen_stages)
    stack = build_stack(model)
    assert len(stack) == (6 if frozen_stages == 1 else 8)
    wrapper = build(model)
    wrapper.use_layers(stack)
    wrapper.lr_factors = [.01 * (i + 1) for i in range(len(stack))] + [1.]
    rates = {}
    wrapper.optimizer.register_step_pre_hook(lambda *_: rates.update(
        {p: group['lr'] for group in wrapper.optimizer.param_groups for p in group['params']}))
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None
    wrapper.step()
    blocks = [(s, b) for s in range(1, 5) for b in range(2)][8 - len(stack):]
    for i, (s, b) in enumerate(blocks):
        for p in model.backbone.get_submodule(f'layer{s}.{b}').parameters():
            assert rates[p] == pytest.approx(.1 * .01 * (i + 1))
    assert rates[model.head.weight] == .1
    assert (model.backbone.conv1.weight in rates) == (frozen_stages < 0)


def test_groups_finer_than_layers_will_do():
    model = detector(frozen_stages=-1)
    wrapper = build(model)
    stages = [('conv1', 'bn1', 'layer1'), ('layer2',), ('layer3',), ('layer4',)]
    wrapper.use_layers(LayerStack(model, [[f'backbone.{n}' for n in s] for s in stages]))
    wrapper.lr_factors = [.1, .2, .3, .4, 1.]
    rates = {}
    wrapper.optimizer.register_step_pre_hook(lambda *_: rates.update(
        {p: group['lr'] for group in wrapper.optimizer.param_groups for p in group['params']}))
    wrapper.step()
    for names, factor in zip(stages, wrapper.lr_factors):
        for name in names:
            for p in model.backbone.get_submodule(name).parameters():
                assert rates[p] == pytest.approx(.1 * factor)
    assert rates[model.head.weight] == .1


def test_groups_that_hold_several_layers_are_refused(model):
    wrapper = FreezeOptimWrapper(torch.optim.SGD(model.parameters(), lr=.1))
    with pytest.raises(ValueError, match="group 0 .* 3 layers: set optim_wrapper.constructor='Lay"):
        wrapper.use_layers(LayerStack(model, [('0',), ('1',)]))

"""FreezeOut in MMEngine's runner: learning rates, freezing, resuming, what it goes with."""
import itertools
import json
import math
from fractions import Fraction

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from tiny_runs import dataloader, run, timeline
from torch import nn

LAYERS = 3
WARMUP = 5
GROUPS = dict(constructor='LayerGroupsConstructor', paramwise_cfg=dict(layer_decay=.5))
WARM_UP = dict(type='LinearLR', start_factor=.1, by_epoch=False, begin=0, end=WARMUP)
SETTINGS = [dict(), dict(how='linear', t_0=.3, scaled=True), dict(how='squared', t_0=.5)]


class Block(nn.Module):
    """Without dropout, so that a loop of one's own needs no generators; with BatchNorm."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Identity()

    def forward(self, x):
        return x + self.drop(self.norm(self.linear(x)).tanh())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))

    def ordered_layers(self):
        return [(f'blocks.{i}',) for i in range(LAYERS)]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Model(BaseModel):
    def __init__(self):
        torch.manual_seed(3)
        super().__init__()
        self.backbone = Net()
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, targets, mode='tensor'):
        return dict(loss=(self.head(self.backbone(inputs)) - targets).square().mean())


class Rates(Hook):
    """Notes, at each step, its iteration and the learning rate that each parameter is given."""

    def __init__(self):
        self.steps = []

    def before_train(self, runner):
        names = {p: name for name, p in runner.model.named_parameters()}
        runner.optim_wrapper.optimizer.register_step_pre_hook(lambda optimizer, *_: (
            self.steps.append((runner.iter, {names[p]: group['lr'] for group in
                                             optimizer.param_groups for p in group['params']}))))


def ends(how='cubic', t_0=.8, **_):
    power = dict(linear=1, squared=2, cubic=3)[how]
    start = Fraction(round(t_0 * 10), 10)
    return [(start + (1 - start) * i / LAYERS) ** power for i in range(LAYERS + 1)]


def progress(iteration, max_iters, warmup=WARMUP):
    return Fraction(max(0, iteration - warmup), max_iters - warmup)


def factor(s, t, scaled=False):
    return 0. if s >= t else .5 * (1 + math.cos(math.pi * float(s / t))) / (t if scaled else 1)


def train(tmp_path, model, settings, *, save_every=100, **kwargs):
    return run(tmp_path, dict(type='FreezeOut', **settings), model=model, save_every=save_every,
               **kwargs)


@pytest.mark.parametrize('settings', SETTINGS)
@pytest.mark.parametrize('iters', [None, 31])
def test_every_step_is_at_the_rates_of_the_formula(tmp_path, settings, iters):
    rates = Rates()
    _, watch = train(tmp_path, Model(), dict(settings, warmup=WARMUP), iters=iters,
                     schedulers=[WARM_UP], hooks=[rates], **GROUPS)
    max_iters = iters or 48
    t = ends(**settings)
    assert [step[0] for step in rates.steps] == list(range(max_iters))
    for iteration, used in rates.steps:
        s = progress(iteration, max_iters)
        warm = min(1, .1 + .9 * iteration / (WARMUP - 1))
        for name, lr in used.items():
            layer = int(name.split('.')[2]) if name.startswith('backbone.blocks.') else LAYERS
            expected = .01 * .5 ** (LAYERS - layer) * warm * factor(
                s, t[layer], settings.get('scaled', False))
            assert lr == pytest.approx(expected, rel=0, abs=1e-12), (iteration, name)
    trainable = [sum(progress(k, max_iters) < t_i for t_i in t[:-1]) for k in range(max_iters)]
    assert trainable[0] == 3 and trainable[-1] < 2
    assert watch.trainable == watch.training == trainable
    assert [d['iteration'] for d in timeline(tmp_path)['decisions']] == [
        k for k in range(1, max_iters) if trainable[k] < trainable[k - 1]]


def plain_loop(model, kind, settings, batches, max_iters):
    """FreezeOut in plain PyTorch: .01, halved from layer to layer, weights alone decay by .05."""
    parts = [*model.backbone.blocks, model.head]
    groups, rates = [], []
    for layer, part in enumerate(parts):
        for decays in (True, False):
            rates.append((layer, .01 * .5 ** (LAYERS - layer)))
            groups.append(dict(params=[p for p in part.parameters() if (p.ndim == 2) == decays],
                               weight_decay=.05 if decays else 0.))
    optimizer = (torch.optim.SGD(groups, lr=1., momentum=.9) if kind == 'SGD'
                 else torch.optim.AdamW(groups, lr=1.))
    t = ends(**settings)
    for iteration, batch in zip(range(max_iters), itertools.cycle(batches)):
        s = progress(iteration, max_iters)
        model.train()
        for layer, block in enumerate(model.backbone.blocks):
            if s >= t[layer]:
                block.eval()
                for p in block.parameters():
                    p.requires_grad, p.grad = False, None
        optimizer.zero_grad()
        (model.head(model.backbone(batch['inputs'])) - batch['targets']).square().mean().backward()
        for group, (layer, lr) in zip(optimizer.param_groups, rates):
            group['lr'] = lr * factor(s, t[layer], settings.get('scaled', False))
        optimizer.step()


@pytest.mark.parametrize('iters, settings', zip([None, 31, None], SETTINGS))
@pytest.mark.parametrize('kind', [dict(type='SGD', lr=.01, momentum=.9, weight_decay=.05),
                                  dict(type='AdamW', lr=.01, weight_decay=.05)])
def test_a_run_has_the_bits_of_a_plain_loop(tmp_path, kind, settings, iters):
    mine, plain = Model(), Model()
    train(tmp_path, mine, dict(settings, warmup=WARMUP), iters=iters, optimizer=kind, **GROUPS)
    plain_loop(plain, kind['type'], settings, dataloader(2 * (iters or 6)), iters or 48)
    for name, value in plain.state_dict().items():
        assert torch.equal(mine.state_dict()[name], value), name
    for block, start in zip(mine.backbone.blocks, Model().backbone.blocks):
        assert not torch.equal(block.linear.weight, start.linear.weight)


@pytest.mark.parametrize('iters, stop', [(None, 3), (None, 6), (31, 14), (31, 20)])
def test_resumed_it_ends_with_the_same_bits(tmp_path, iters, stop):
    def go():
        rates = Rates()
        runner, _ = train(tmp_path, Model(), dict(t_0=.5, warmup=WARMUP), iters=iters,
                          schedulers=[WARM_UP], hooks=[rates], save_every=stop, resume=True,
                          **GROUPS)
        return runner.model.state_dict(), rates.steps, timeline(tmp_path)['decisions']

    whole, steps, decisions = go()
    unit = 'iter' if iters else 'epoch'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / f'{unit}_{stop}.pth'))
    resumed, later, decisions_later = go()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert later == steps[-len(later):] and len(later) == (31 - stop if iters else 48 - 6 * stop)
    assert decisions_later == decisions


def test_frozen_batch_norms_stand_still(tmp_path):
    class Statistics(Hook):
        means = []

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            self.means.append(runner.model.backbone.blocks[0].norm.running_mean.clone())

    watch = Statistics()
    train(tmp_path, Model(), dict(t_0=.5), iters=40, hooks=[watch], **GROUPS)
    frozen = [torch.equal(mean, watch.means[-1]) for mean in watch.means]
    assert frozen == [False] * 5 + [True] * 35


def test_a_freeze_waits_for_the_end_of_an_accumulation_window(tmp_path):
    """Until then the layer's learning rate is zero."""
    rates = Rates()
    _, watch = train(tmp_path, Model(), dict(t_0=.5), iters=42, hooks=[rates],
                     accumulative_counts=4, **GROUPS)
    t = ends(t_0=.5)
    window = [k // 4 * 4 for k in range(42)]
    assert watch.trainable == [sum(Fraction(k, 42) < t_i for t_i in t[:-1]) for k in window]
    assert [k for k, _ in rates.steps] == [*range(3, 42, 4), 41]
    for k, used in rates.steps:
        assert used['backbone.blocks.0.linear.weight'] == pytest.approx(
            .00125 * factor(Fraction(k, 42), t[0]), rel=0, abs=1e-12)
    # Of 42 iterations layer 0 has 5.25, and so ends within the second window.
    assert watch.trainable[7] == 3 and rates.steps[1][1]['backbone.blocks.0.linear.weight'] == 0


class Pictures(BaseModel):
    """A ResNet that keeps its stem and first stage frozen itself."""

    def __init__(self):
        super().__init__()
        self.backbone = ResNet(18, stem_channels=4, base_channels=4, frozen_stages=1,
                               norm_eval=False)
        self.backbone.blocks = ()  # which the watching hook asks for
        self.head = nn.Linear(32, 1)

    def forward(self, inputs, targets, mode='tensor'):
        images = inputs.view(-1, 1, 2, 2).repeat(1, 3, 8, 8)
        features = self.backbone(images)[-1].mean((2, 3))
        return dict(loss=(self.head(features) - targets).square().mean())


def test_what_the_model_froze_itself_does_not_count(tmp_path):
    rates = Rates()
    train(tmp_path, Pictures(), dict(t_0=.5, how='linear'), iters=12, hooks=[rates],
          constructor='LayerGroupsConstructor')
    for k, used in rates.steps:
        for i, block in enumerate(['layer2.0', 'layer2.1', 'layer3.0', 'layer3.1', 'layer4.0',
                                   'layer4.1']):
            t = Fraction(1, 2) + Fraction(i, 12)
            assert used[f'backbone.{block}.conv1.weight'] == pytest.approx(
                .01 * factor(Fraction(k, 12), t), rel=0, abs=1e-12)
        assert used['head.weight'] == pytest.approx(.01 * factor(Fraction(k, 12), 1), abs=1e-12)
    assert timeline(tmp_path)['decisions'][-1]['num_frozen'] == 6


@pytest.mark.parametrize('changes, words', [
    (dict(wrapper='OptimWrapper', **GROUPS),
     "FreezeOut .*OptimWrapper cannot do: set optim_wrapper.type='FreezeOptimWrapper'"),
    (dict(), "group 0 .*4 layers: set optim_wrapper.constructor='LayerGroupsConstructor'"),
    (dict(GROUPS, hook=dict(layers=['backbone.blocks.*.linear'])), 'paramwise_cfg.layers'),
])
def test_what_it_needs_is_asked_for_before_training(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        train(tmp_path, Model(), {}, **changes)
    assert not (tmp_path / 'freezing_timeline.json').exists()


def test_too_long_a_warm_up_is_refused_before_training(tmp_path):
    rates = Rates()
    with pytest.raises(ValueError, match='warmup=48 leaves nothing of a run of 48 iterations'):
        train(tmp_path, Model(), dict(warmup=48), hooks=[rates], **GROUPS)
    assert rates.steps == []


@pytest.mark.parametrize('schedulers, named', [
    (None, None),
    ([WARM_UP], None),
    ([dict(type='ConstantLR', factor=.1, by_epoch=False, begin=0, end=4)], None),
    ([dict(type='CosineAnnealingMomentum', T_max=12, by_epoch=False)], None),
    ([WARM_UP, dict(type='MultiStepLR', milestones=[8], by_epoch=False)], 'MultiStepLR'),
    ([dict(type='LinearLR', start_factor=1., end_factor=.5, end=9, by_epoch=False)], 'LinearLR'),
    ([dict(type='CosineAnnealingLR', T_max=12, by_epoch=False),
      dict(type='StepLR', step_size=4, by_epoch=False)], 'CosineAnnealingLR, StepLR'),
])
def test_schedulers_that_anneal_as_well_are_warned_of_once(tmp_path, schedulers, named):
    train(tmp_path, Model(), {}, iters=12, schedulers=schedulers, **GROUPS)
    lines = [line for line in next(tmp_path.glob('*/*.log')).read_text().splitlines()
             if 'WARNING' in line and 'FreezeOut' in line]
    assert len(lines) == (named is not None)
    assert named is None or f'and {named} will do it a second time' in lines[0]


def test_factors_are_logged(tmp_path):
    train(tmp_path, Model(), dict(how='linear', t_0=.5), **GROUPS)
    lines = [json.loads(line) for path in tmp_path.glob('*/vis_data/scalars.json')
             for line in path.read_text().splitlines()]
    logged = {line['step']: [line[f'freeze/lr_factor/{name}'] for name in
                             ('layer_00', 'layer_01', 'layer_02', 'rest')]
              for line in lines if 'freeze/num_frozen' in line}
    assert set(range(6, 43, 6)) <= set(logged)
    t = ends('linear', .5)
    for step, factors in logged.items():
        assert factors == pytest.approx([factor(Fraction(step, 48), t_i) for t_i in t])

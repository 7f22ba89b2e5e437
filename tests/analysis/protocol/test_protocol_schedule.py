"""Schedules fitted to another number of epochs."""
import math

import pytest
import torch
from fake_training import small_config
from mmengine.config import Config
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR

from mmfreeze.analysis.protocol.schedule import with_epochs

KINDS = dict(LinearLR=LinearLR, CosineAnnealingLR=CosineAnnealingLR, MultiStepLR=MultiStepLR)


def config(epochs, *schedulers):
    return small_config(train_cfg=dict(max_epochs=epochs), param_scheduler=list(schedulers))


def test_milestones_as_computed_by_hand():
    cfg = config(65, dict(type='LinearLR', start_factor=.001, by_epoch=False, begin=0, end=250),
                 dict(type='MultiStepLR', by_epoch=True, begin=0, end=65, milestones=[58, 60]))
    # 46 / 65 = .7077: 250 -> 176.9, 58 -> 41.05, 60 -> 42.46
    assert with_epochs(cfg, 46).param_scheduler == [
        dict(type='LinearLR', start_factor=.001, by_epoch=False, begin=0, end=177),
        dict(type='MultiStepLR', by_epoch=True, begin=0, end=46, milestones=[41, 42])]
    # 13 / 65 = .2: 58 -> 11.6, 60 -> 12
    short = with_epochs(cfg, 13)
    assert short.param_scheduler[1] == dict(type='MultiStepLR', by_epoch=True, begin=0, end=13,
                                            milestones=[12, 12])
    assert short.train_cfg.max_epochs == 13
    assert cfg.train_cfg.max_epochs == 65 and cfg.param_scheduler[1].end == 65


def test_cosine_as_computed_by_hand():
    cfg = config(26, dict(type='CosineAnnealingLR', begin=2, end=26, T_max=24, eta_min_ratio=.01,
                          convert_to_iter_based=True))
    # 19 / 26 = .7308: 2 -> 1.46, 24 -> 17.54
    assert with_epochs(cfg, 19).param_scheduler == [
        dict(type='CosineAnnealingLR', begin=1, end=19, T_max=18, eta_min_ratio=.01,
             convert_to_iter_based=True)]


def test_ends_that_are_none_stay_so():
    cfg = config(10, dict(type='StepLR', step_size=3), dict(type='PolyLR', end=10**9))
    assert with_epochs(cfg, 5).param_scheduler == [
        dict(type='StepLR', step_size=2), dict(type='PolyLR', end=10**9)]


def test_the_warm_up_of_a_policy_is_scaled_alike():
    cfg = config(26, dict(type='LinearLR', by_epoch=False, begin=0, end=50))
    cfg.custom_hooks = [dict(type='Other'), dict(type='mmdet.LayerFreezingHook', policy=dict(
        type='FreezeOut', warmup=50))]
    short = with_epochs(cfg, 13)
    assert short.custom_hooks[1].policy.warmup == short.param_scheduler[0].end == 25
    assert cfg.custom_hooks[1].policy.warmup == 50


def test_a_single_epoch_is_still_a_schedule():
    cfg = config(65, dict(type='MultiStepLR', begin=0, end=65, milestones=[20, 60]))
    assert with_epochs(cfg, 1).param_scheduler == [
        dict(type='MultiStepLR', begin=0, end=1, milestones=[1, 1])]


def test_one_scheduler_without_a_list_and_none():
    cfg = small_config(param_scheduler=dict(type='MultiStepLR', end=6, milestones=[4]))
    assert with_epochs(cfg, 3).param_scheduler == dict(type='MultiStepLR', end=3, milestones=[2])
    assert with_epochs(Config(dict(train_cfg=dict(max_epochs=4))), 2).train_cfg.max_epochs == 2


@pytest.mark.parametrize('begin, epochs, expected', [
    (20, 26, 20), (20, 24, 20), (20, 13, 13), (30, 26, 26), (1, 1, 1)])
def test_the_last_epoch_is_validated(begin, epochs, expected):
    cfg = small_config(train_cfg=dict(max_epochs=26, val_begin=begin))
    assert with_epochs(cfg, epochs).train_cfg == dict(max_epochs=epochs, val_begin=expected)
    assert cfg.train_cfg.val_begin == begin
    assert 'val_begin' not in with_epochs(small_config(), 3).train_cfg


def test_without_epochs():
    with pytest.raises(ValueError, match='train_cfg.max_epochs is missing'):
        with_epochs(small_config(train_cfg=dict(max_iters=9)), 3)


@pytest.mark.parametrize('kind', ['ExponentialLR', 'ReduceOnPlateauLR'])
def test_what_cannot_be_compressed(kind):
    cfg = config(6, dict(type=kind, gamma=.9))
    with pytest.raises(ValueError, match=f'param_scheduler: {kind}'):
        with_epochs(cfg, 3)
    assert with_epochs(cfg, 6) is not cfg


def rates(cfg, unit):
    """The learning rate of each iteration, with so many in an epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    schedulers = []
    for scheduler in cfg.param_scheduler:
        settings = dict(scheduler)
        kind = KINDS[settings.pop('type')]
        convert = settings.pop('convert_to_iter_based', False)
        build = kind.build_iter_from_epoch if convert else kind
        schedulers.append((build(optimizer, **settings, **(
            dict(epoch_length=unit) if convert else {})), convert or not settings['by_epoch']))
    found = []
    for iteration in range(1, cfg.train_cfg.max_epochs * unit + 1):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler, by_iteration in schedulers:
            if by_iteration or iteration % unit == 0:
                scheduler.step()
    return found


def test_the_compressed_run_is_the_run_in_small():
    """Half as many epochs: every second learning rate, warm-up and all."""
    cfg = config(8, dict(type='LinearLR', start_factor=.1, by_epoch=False, begin=0, end=10),
                 dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=8, T_max=8,
                      convert_to_iter_based=True),
                 dict(type='MultiStepLR', by_epoch=True, begin=0, end=8, milestones=[6]))
    whole, half = rates(cfg, 10), rates(with_epochs(cfg, 4), 10)
    assert len(half) == 40 and half[0] == whole[0]
    assert half[6:] == pytest.approx(whole[12::2], rel=1e-9)
    # Warm-up: from .1 to 1 in 5 iterations instead of 10, on the cosine's way.
    assert half[2] == pytest.approx((.1 + .9 * 2 / 4) * .5 * (1 + math.cos(math.pi * 2 / 40)))

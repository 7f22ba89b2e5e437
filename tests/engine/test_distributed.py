"""Freezing under DistributedDataParallel, with two gloo ranks on the CPU."""
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from gloo_ranks import WRAPPER, Model, on_two_ranks, train
from mmengine.hooks import Hook
from mmengine.model import MMFullyShardedDataParallel
from torch.distributed.fsdp import fully_shard

from mmfreeze.engine.distributed import require_freezable
from mmfreeze.engine.exact.checkpoint_hook import _average_open_window

AFA = dict(type='AdaptiveFreezing', interval=1, alpha=.3)
LFA = dict(type='LinearFreezing')
FREEZEOUT = dict(policy=dict(type='FreezeOut', t_0=.4), wrapper='FreezeOptimWrapper',
                 constructor='LayerGroupsConstructor')


class DisturbRankOne(Hook):
    """Lets the ranks see different norms, as rounding may: they must still decide alike.

    By its own norms alone, rank 1 would freeze layer 0, and rank 0 two layers.
    """
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if dist.get_rank() == 1:
            runner.optim_wrapper.grad_signal._norms[1:] += 100


class TerminateRankOne(Hook):
    """Sends SIGTERM to one rank alone, in the third iteration of the second epoch."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 6 and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def exit_status(work_dir):
    """That of a run in which one rank got SIGTERM."""
    try:
        train(work_dir, LFA, hooks=[TerminateRankOne()])
    except SystemExit as stop:
        return stop.code


class Begun(Hook):
    iterations = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.iterations += 1


def refusal_of_static_graph(work_dir):
    """The error with which a run ends, and for how many iterations it had trained."""
    begun = Begun()
    try:
        train(work_dir, LFA, hooks=[begun], model_wrapper=dict(WRAPPER, static_graph=True))
    except NotImplementedError as error:
        return str(error), begun.iterations


def refusal_of(model):
    try:
        require_freezable(model)
    except NotImplementedError as error:
        return str(error)


def mean_of_an_open_window():
    """Each rank has used another part of the model so far."""
    model, rank = Model(), dist.get_rank()
    used = [model.head.bias, model.backbone.blocks[2].bias][rank]
    used.grad = torch.full_like(used, 2.)
    _average_open_window(SimpleNamespace(
        model=model, optim_wrapper=SimpleNamespace(should_update=lambda: False)))
    return {name: param.grad for name, param in model.named_parameters()
            if param.grad is not None}


def on_each_rank(folder):
    """All runs, since starting two processes takes longer than most of them."""
    folder = Path(folder)
    afa = dict(policy=AFA, wrapper='FreezeOptimWrapper')
    ema = dict(type='EMAHook', ema_type='ExponentialMovingAverage')
    windows = dict(policy=LFA, accumulate=3, epochs=5)
    return dict(
        whole=train(folder / 'whole', **afa, validate=True, hooks=[ema]),
        resumed=train(folder / 'resumed', **afa, hooks=[ema],
                      resume=folder / 'whole/epoch_1.pth'),
        disturbed=train(folder / 'disturbed', **afa, epochs=5, hooks=[DisturbRankOne()]),
        lfa=train(folder / 'lfa', LFA),
        freezeout=train(folder / 'freezeout', **FREEZEOUT),
        exit_status=exit_status(folder / 'terminated'),
        went_on=train(folder / 'went_on', LFA, resume=folder / 'terminated/stopped.pth'),
        unused=train(folder / 'unused', LFA, unused=True,
                     model_wrapper=dict(WRAPPER, find_unused_parameters=True)),
        windows=train(folder / 'windows', **windows),
        in_window={n: train(folder / f'in_window_{n}', **windows,
                            resume=folder / f'windows/epoch_{n}.pth') for n in (1, 2)},
        window=mean_of_an_open_window(),
        static_graph=refusal_of_static_graph(folder / 'static'),
        # MMEngine's Runner cannot start with sharded parameters: it broadcasts them.
        fsdp=[refusal_of(model) for model in (
            MMFullyShardedDataParallel(Model(), device_id=torch.device('cpu')),
            fully_shard(Model(), mesh=dist.init_device_mesh('cpu', (2,))))])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('ranks')


@pytest.fixture(scope='module')
def ranks(folder):
    """What :func:`on_each_rank` returned on each of the two."""
    return on_two_ranks(on_each_rank, folder)


def same(first, second, tolerance=0.):
    """Whether the second run has the weights of the first one."""
    return all(torch.allclose(value, second['params'][name], rtol=0, atol=tolerance)
               for name, value in first['params'].items())


def decisions(work_dir):
    return json.loads((work_dir / 'freezing_timeline.json').read_text())['decisions']


def test_two_ranks_are_one_process(ranks, folder):
    one = train(folder / 'one', AFA, ranks=1, wrapper='FreezeOptimWrapper')
    assert len(set(one['frozen'])) > 3, 'at least three freezes'
    for rank in ranks:
        for name in ('whole', 'resumed'):
            assert rank[name]['frozen'] == one['frozen'][-len(rank[name]['frozen']):]
            assert same(one, rank[name], 1e-10), name
    assert ranks[0]['resumed']['frozen'][-1] > ranks[0]['resumed']['frozen'][0]


def test_layers_freeze_inside_epochs_on_two_ranks_as_on_one(ranks, folder):
    one = train(folder / 'freezeout_one', ranks=1, **FREEZEOUT)
    firsts = [one['frozen'].index(n) for n in range(1, 5)]
    assert any(iteration % 4 for iteration in firsts)
    for rank in ranks:
        assert rank['freezeout']['frozen'] == one['frozen']
        assert same(one, rank['freezeout'], 1e-10)


def test_a_resumed_run_has_the_same_bits(ranks, folder):
    for rank in ranks:
        assert len(rank['resumed']['frozen']) == 28, 'seven epochs of four iterations'
        assert same(ranks[0]['whole'], rank['resumed'])
    assert decisions(folder / 'resumed') == decisions(folder / 'whole')


def test_ranks_that_see_different_norms_decide_alike(ranks):
    first, second = (rank['disturbed'] for rank in ranks)
    assert first['frozen'] == second['frozen'] and len(set(first['frozen'])) > 2
    assert same(first, second)


@pytest.mark.parametrize('name', ['whole', 'lfa'])
def test_frozen_layers_are_not_reduced(ranks, name):
    for rank in ranks:
        run = rank[name]
        assert len(set(run['frozen'])) > 3
        # Float64 weights and biases: 4 blocks of 20 numbers, and the head of 5.
        assert run['bytes'] == [8 * (20 * (4 - n) + 5) for n in run['frozen']]


def test_old_wrappers_are_gone_after_each_freeze(ranks):
    for rank in ranks:
        run = rank['whole']
        assert run['wrappers'] == len(set(run['frozen'])) > 3
        assert run['survivors'] == 0


def test_find_unused_parameters_is_kept_and_changes_nothing(ranks):
    for rank in ranks:
        assert rank['unused']['frozen'] == rank['lfa']['frozen']
        assert same(rank['lfa'], rank['unused'])


def test_an_open_accumulation_window_is_resumed(ranks, folder):
    one = train(folder / 'one_windows', LFA, ranks=1, accumulate=3, epochs=5)
    for rank in ranks:
        whole = rank['windows']
        assert len(set(whole['frozen'])) > 3
        # Twenty iterations: a window closes at every third one, the last one with two.
        assert [i for i, n in enumerate(whole['bytes'], 1) if n] == [3, 6, 9, 12, 15, 18, 20]
        assert same(one, whole, 1e-10)
        for resumed in rank['in_window'].values():
            assert same(ranks[0]['windows'], resumed)


def test_ranks_that_used_different_parts_of_the_model_save_the_mean(ranks):
    for rank in ranks:
        assert rank['window'].keys() == {'head.bias', 'backbone.blocks.2.bias'}
        assert all((grad == 1).all() for grad in rank['window'].values())


def test_both_ranks_stop_when_one_gets_sigterm(ranks):
    for rank in ranks:
        assert rank['exit_status'] == 128 + signal.SIGTERM
        assert len(rank['went_on']['frozen']) == 32 - 7
        assert same(ranks[0]['lfa'], rank['went_on'])


def test_static_graph_is_refused_before_training(ranks):
    for rank in ranks:
        message, iterations = rank['static_graph']
        assert 'static_graph=True' in message and iterations == 0


def test_fsdp_is_refused(ranks):
    for rank in ranks:
        assert ['under FSDP' in message for message in rank['fsdp']] == [True, True]

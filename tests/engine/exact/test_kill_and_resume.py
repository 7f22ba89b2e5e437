"""Killed at any moment and resumed, a run ends with the bits of one that was never interrupted."""
import os
import random

import pytest
import torch
from killed_runs import train

AFA = dict(type='AdaptiveFreezing', interval=1, alpha=.3)
# All trends fall below .9 sooner or later, so that layers are dropped one by one.
DROP = dict(type='LearnAndDrop', tau=.9, patience=1)
FREEZEOUT = dict(type='FreezeOut', t_0=.5, scaled=True, warmup=5)
RUNS = dict(
    lfa=dict(policy=dict(type='LinearFreezing')),
    afa_open_windows_ema=dict(policy=AFA, accumulate=4, ema=True, clip=dict(max_norm=1.)),
    afa_workers=dict(policy=dict(AFA, accumulate='sum', by_size=True), workers=2),
    afa_inside_epochs=dict(policy=dict(AFA, test='ratio'), workers=2, persistent=True,
                           checkpoints=dict(interval=4, by_epoch=False)),
    lfa_iterations_ema=dict(policy=dict(type='LinearFreezing', period=7), iters=36, ema=True),
    afa_iterations=dict(policy=dict(AFA, interval=7), iters=36, accumulate=3, workers=2,
                        persistent=True, checkpoints=dict(interval=4, by_epoch=False)),
    learn_and_drop_ram=dict(policy=DROP, store=dict(where='ram', dtype='float16'), ema=True),
    learn_and_drop_file=dict(policy=DROP, store=dict(where='file', dtype='bfloat16'),
                             checkpoints=dict(interval=4, by_epoch=False)),
    lfa_store_iterations=dict(policy=dict(type='LinearFreezing'), store=dict(where='file'),
                              iters=36, accumulate=2, workers=2),
    freezeout_inside_epochs=dict(policy=FREEZEOUT, constructor='LayerGroupsConstructor', workers=2,
                                 persistent=True, checkpoints=dict(interval=4, by_epoch=False)),
    freezeout_iterations_ema=dict(policy=FREEZEOUT, constructor='LayerGroupsConstructor', iters=36,
                                  accumulate=3, ema=True),
    geometric=dict(policy=dict(type='GeometricFreezing', interval=1, alpha=.3)),
    static=dict(policy=dict(type='StaticFreezing', num_frozen=2), accumulate=2),
    none=dict(policy=dict(type='NoFreezing')))
# Kill points in all; a hundred by ``make soak``.
KILLS = int(os.environ.get('MMFREEZE_KILLS', 20))


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """Final states of the runs, each trained once."""
    known = {}

    def get(name):
        if name not in known:
            known[name] = train(tmp_path_factory.mktemp(name), **RUNS[name])
        return known[name]
    return get


@pytest.mark.parametrize('number', range(KILLS))
def test_killed_and_resumed(number, uninterrupted, tmp_path):
    name = list(RUNS)[number % len(RUNS)]
    options = RUNS[name]
    whole = uninterrupted(name)
    assert whole['filled'] == ('store' in options)
    kill_at = random.Random(number).randint(1, whole['events'])
    assert train(tmp_path, kill_at, **options) is None
    # Half of them are killed a second time while they go on.
    if number % 2:
        train(tmp_path, random.Random(-number).randint(1, 40), resume=True, **options)
    resumed = train(tmp_path, resume=True, **options)
    resumed.pop('events')
    for part, value in resumed.items():
        assert value == whole[part], (name, kill_at, part)


@pytest.mark.parametrize('name', ['lfa', 'afa_iterations'])
def test_workers_do_not_matter(name, uninterrupted, tmp_path):
    loading = (dict(workers=2, persistent=True) if name == 'lfa'
               else dict(workers=0, persistent=False))
    options = dict(RUNS[name], **loading)
    assert train(tmp_path, **options)['weights'] == uninterrupted(name)['weights']


def test_a_missing_seed_is_drawn_once(tmp_path):
    options = RUNS['afa_workers']
    assert train(tmp_path, 200, seed=None, **options) is None
    seed = torch.load(next(tmp_path.glob('epoch_*.pth')), weights_only=False)['meta']['seed']
    resumed = train(tmp_path, seed=None, resume=True, **options)
    assert resumed['weights'] == train(tmp_path / 'whole', seed=seed, **options)['weights']

"""Of several processes each stores its own share of the samples."""
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from gloo_ranks import WRAPPER, on_two_ranks
from mmengine.hooks import Hook
from store_runs import vit
from view_runs import build, options, run

from mmfreeze.engine import store_room
from mmfreeze.freezing import FeatureStore


def given(folder, sampler='FixedShareSampler', views=2):
    return dict(policy=dict(type='LinearFreezing'), sampler=sampler, launcher='pytorch',
                batch_size=2, cfg=dict(model_wrapper_cfg=WRAPPER),
                **options(Path(folder, f'images_{dist.get_rank()}'), views=views, backbone=vit))


class Stop(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 10:
            raise KeyboardInterrupt


def plain_stored_and_resumed(folder):
    """What each run ends with: weights, losses, layers called last, and the stores' samples."""
    samples, init = [], FeatureStore.__init__

    def noting(self, count, *args, **kwargs):
        samples.append(count)
        init(self, count, *args, **kwargs)

    FeatureStore.__init__ = noting
    ended = {}
    for name, store in (('plain', None), ('stored', dict(where='file', dtype='float32')),
                        ('resumed', dict(where='file', dtype='float32'))):
        if name == 'resumed':
            build.count += 1
            try:
                build(Path(folder, name), store=store, watch=Stop(), **given(folder)).train()
            except KeyboardInterrupt:
                pass
        weights, watch, record = run(Path(folder, name), store=store, resume=name == 'resumed',
                                     **given(folder))
        ended[name] = dict(weights=weights, losses=watch.losses, called=watch.called[-1],
                           fills=record['fills'])
        dist.barrier()
    FeatureStore.__init__ = init
    return dict(ended, samples=set(samples),
                left=[path.name for path in Path(folder).glob('*/feature_store*')])


def test_ranks_end_as_plain_freezing_does(ranks):
    for rank in (rank['ended'] for rank in ranks):
        plain = rank['plain']
        for name in ('stored', 'resumed'):
            for key, value in rank[name]['weights'].items():
                assert torch.equal(value, plain['weights'][key])
            assert rank[name]['losses'] == plain['losses'][-len(rank[name]['losses']):]
            assert rank[name]['called'] == set() and plain['called'] == {0, 1, 2, 3}
            assert rank[name]['fills'][-1]['to_layer'] == 4
        assert rank['samples'] == {6}  # of twelve
        assert rank['left'] == []


def error_with_another_sampler(folder):
    build.count += 1
    try:
        build(Path(folder, 'other'), store={}, **given(folder, sampler='DefaultSampler')).train()
    except ValueError as error:
        return str(error)


def test_another_sampler_is_refused(ranks):
    for rank in ranks:
        assert "needs train_dataloader.sampler.type='FixedShareSampler'" in rank['refusal']


def chain_when_one_rank_has_no_room(folder):
    opened, init = [], FeatureStore.__init__

    def full(self, *args, **kwargs):
        opened.append(1)
        if dist.get_rank() == 1 and len(opened) > 2:
            raise OSError('no memory')
        init(self, *args, **kwargs)

    FeatureStore.__init__ = full
    # Rank 1 has room for one only: its old store goes before the third is refused.
    store_room.free_memory = lambda: 0 if dist.get_rank() == 1 and len(opened) == 2 else 10**9
    weights, watch, record = run(Path(folder, 'no_room'), store={},
                                 **given(folder, views=1))
    return dict(called=watch.called[-1], fills=[fill['to_layer'] for fill in record['fills']])


def test_all_ranks_go_on_without_a_store_if_one_has_no_room(ranks):
    for rank in (rank['without_room'] for rank in ranks):
        assert rank['called'] == {0, 1, 2, 3}
        assert 2 in rank['fills'] and rank['fills'][-1] == 0


def all_runs(folder):
    """One after the other, for starting the processes takes longer than the runs."""
    return dict(ended=plain_stored_and_resumed(folder), refusal=error_with_another_sampler(folder),
                without_room=chain_when_one_rank_has_no_room(folder))


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # For the processes of the ranks, which know nothing of pytest's paths.
        patch.syspath_prepend(str(Path(__file__).parent))
        return on_two_ranks(all_runs, tmp_path_factory.mktemp('ranks'))

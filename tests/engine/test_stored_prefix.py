"""Training from the store is plain freezing, without the calls of the frozen layers."""
import errno
import os
import signal

import pytest
import torch
from mmengine.hooks import Hook
from store_runs import LAYERS, ConvNet, Model, Samples, build, run, vit
from torch import nn

from mmfreeze.freezing import FeatureStore

LFA = dict(type='LinearFreezing')
# With 6 epochs and 4 layers LFA has, epoch by epoch:
FROZEN = [0, 0, 1, 2, 3, 4]
# A level and a boundary of 6 x 4 x 4 numbers for each of 12 samples; behind one layer they are one.
ONE, TWO = 12 * 6 * 16 * 4 / 1e9, 12 * 2 * 6 * 16 * 4 / 1e9


def same(weights, others):
    return all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize('backbone, where, options', [
    (ConvNet, 'ram', dict()), (ConvNet, 'file', dict(iters=18, samples=10)),
    (ConvNet, 'ram', dict(workers=2)), (ConvNet, 'ram', dict(samples=11)),
    (vit, 'file', dict()), (vit, 'ram', dict(iters=18, samples=10))],
    ids=['epochs', 'iterations', 'workers', 'small last batch', 'ViT', 'ViT, iterations'])
def test_losses_and_weights_are_those_of_plain_freezing(tmp_path, backbone, where, options):
    plain = run(tmp_path / 'plain', policy=LFA, backbone=backbone, **options)
    stored = run(tmp_path / 'stored', policy=LFA, backbone=backbone, store=dict(where=where),
                 **options)
    if options.get('samples') == 11:  # of another size, convolutions may add in another order
        torch.testing.assert_close(stored[1].losses, plain[1].losses, rtol=1e-5, atol=1e-6)
    else:
        assert stored[1].losses == plain[1].losses
        assert same(stored[0], plain[0])
    assert len(set(stored[1].losses)) == len(stored[1].losses)
    assert [f['to_layer'] for f in stored[2]['fills']] == [1, 2, 3, 4]
    assert stored[1].called[-1] == set()
    if 'iters' not in options:
        calls = [set(range(n, LAYERS)) for n in FROZEN for _ in range(3)]
        assert stored[1].called == calls
        assert plain[1].called == [set(range(LAYERS))] * 18
    errors = [[v['metrics']['error'] for v in record['validations']]
              for _, _, record in (stored, plain)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)
    assert not (tmp_path / 'stored' / 'feature_store').exists()


def test_a_moved_boundary_is_filled_from_the_generation_before_it(tmp_path):
    Samples.loaded = 0
    run(tmp_path / 'plain', policy=LFA)
    plain, Samples.loaded = Samples.loaded, 0
    record = run(tmp_path / 'stored', policy=LFA, store={})[2]
    # Beside the pass of the first filling only the batch that each boundary is tried out with.
    assert Samples.loaded == plain + 12 + 4 * (1 + len(record['fills']))
    assert [(f['iteration'], f['from_layer'], f['to_layer'], f['samples'])
            for f in record['fills']] == [(6, 0, 1, 12), (9, 1, 2, 12), (12, 2, 3, 12),
                                          (15, 3, 4, 12)]


@pytest.mark.parametrize('where, dtype, stop_at, max_gb', [
    ('ram', 'float16', 12, 8.), ('ram', 'bfloat16', 7, 8.), ('file', 'float16', 7, 8.),
    ('file', 'bfloat16', 12, 8.), ('ram', 'float16', 10, TWO * .45),
    ('file', 'float16', 13, TWO * .5)])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, where, dtype, stop_at, max_gb):
    """Also where features are rounded several times, at boundaries that lie behind the run.

    And where the first generation alone has room, or each one but not two.
    """
    options = dict(policy=LFA, store=dict(where=where, dtype=dtype, max_gb=max_gb))
    expected = run(tmp_path / 'whole', **options)

    class Stop(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == stop_at:
                raise KeyboardInterrupt

    runner = build(tmp_path / 'run', watch=Stop(), **options)
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    if where == 'file' and stop_at == 7:  # the half-filled store of a killed process
        path = next((tmp_path / 'run' / 'feature_store').glob('*/checksums.bin'))
        with open(path, 'r+b') as file:
            file.write(b'\xff' * 5 * 8)
    weights, watch, record = run(tmp_path / 'run', resume=True, **options)
    assert expected[2]['fills'] and all(0 not in called for called in watch.called)
    assert same(weights, expected[0])
    assert watch.losses == expected[1].losses[-len(watch.losses):]
    if where == 'file' and stop_at == 7:
        assert [f['samples'] for f in record['fills'] if f['iteration'] == 6] == [5]


def test_sigterm_while_the_store_is_filled_loses_nothing(tmp_path, monkeypatch):
    expected = run(tmp_path / 'whole', policy=LFA, store={})
    put, puts = FeatureStore.put, []

    def interrupted(self, keys, features):
        put(self, keys, features)
        puts.append(keys)
        if len(puts) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(FeatureStore, 'put', interrupted)
    with pytest.raises(SystemExit):
        run(tmp_path / 'run', policy=LFA, store={})
    assert len(puts) == 2
    weights, watch, record = run(tmp_path / 'run', policy=LFA, store={}, resume=True)
    assert same(weights, expected[0])
    assert len(watch.losses) == 18 - 6
    assert record['fills'][0]['samples'] == 12


def test_an_exception_leaves_the_model_whole(tmp_path):
    class Fail(Hook):
        priority = 'LOW'  # behind the exchange of modules

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 1:
                self.called_on = type(runner.model.backbone.blocks[0]).__name__
                raise RuntimeError('out of memory')

    build.count += 1
    runner = build(tmp_path, policy=dict(type='StaticFreezing', num_frozen=2), store={},
                   watch=(fail := Fail()))
    names = list(runner.model.state_dict())
    with pytest.raises(RuntimeError, match='out of memory'):
        runner.train()
    assert fail.called_on == '_Replay'
    assert list(runner.model.state_dict()) == names


def test_what_dead_processes_left_does_not_fill_the_disk(tmp_path):
    for left in (1, 3):
        (tmp_path / 'feature_store' / f'layers_{left}').mkdir(parents=True)
    seen = []

    class Look(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append(sorted(path.name for path in (tmp_path / 'feature_store').iterdir()))

    build.count += 1
    build(tmp_path, policy=dict(type='StaticFreezing', num_frozen=2), epochs=1,
          store=dict(where='file'), watch=Look()).train()
    assert seen == [['layers_2']] * 3


@pytest.mark.parametrize('first, second', [
    (None, {}), ({}, None), (dict(dtype='float16'), dict(dtype='float32'))])
def test_resuming_with_another_store_is_warned_of(tmp_path, first, second, caplog):
    options = dict(policy=dict(type='StaticFreezing', num_frozen=2))
    run(tmp_path, epochs=1, store=first, **options)
    for again, warned in ((first, False), (second, True)):
        build.count += 1
        runner = build(tmp_path, epochs=2, store=again, resume=True, **options)
        warnings = []
        runner.logger.warning = warnings.append
        runner.train()
        assert any('another store' in line for line in warnings) == warned
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))


def test_files_of_another_run_are_not_taken_up(tmp_path):
    class Stop(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 2:
                raise KeyboardInterrupt

    options = dict(policy=dict(type='StaticFreezing', num_frozen=2), epochs=2)
    model = Model(ConvNet)
    for param in model.backbone.parameters():
        nn.init.normal_(param)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'run', watch=Stop(), store=dict(where='file'), model=model,
              **options).train()
    assert list((tmp_path / 'run' / 'feature_store').iterdir())
    plain = run(tmp_path / 'plain', **options)
    assert same(run(tmp_path / 'run', store=dict(where='file'), **options)[0], plain[0])


def test_storing_in_half_precision_changes_losses_a_little(tmp_path):
    plain, stored = (run(tmp_path / str(i), policy=dict(type='StaticFreezing', num_frozen=2),
                         store=store)[1].losses
                     for i, store in enumerate((None, dict(dtype='float16'))))
    assert stored != plain
    assert stored[:3] == pytest.approx(plain[:3], rel=1e-2)


@pytest.mark.parametrize('where, damage', [('file', True), ('file', False)])
def test_a_record_that_is_damaged_on_the_disk_is_computed_anew(tmp_path, where, damage):
    class Damage(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if damage and runner.iter == 2:
                path, = (tmp_path / 'damaged' / 'feature_store').glob('*/features.bin')
                with open(path, 'r+b') as file:
                    file.write(b'\x11' * 3000)

    options = dict(policy=dict(type='StaticFreezing', num_frozen=2), epochs=3)
    plain = run(tmp_path / 'plain', **options)
    build.count += 1
    runner = build(tmp_path / 'damaged', watch=Damage(), store=dict(where=where), **options)
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    assert same(runner.model.state_dict(), plain[0])
    assert any('damaged' in line for line in warnings) == damage


def test_a_generation_is_not_filled_from_a_damaged_one(tmp_path):
    class Damage(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 8:
                path, = (tmp_path / 'damaged' / 'feature_store').glob('*/features.bin')
                with open(path, 'r+b') as file:
                    file.write(b'\x11' * 9000)

    plain = run(tmp_path / 'plain', policy=LFA)
    build.count += 1
    runner = build(tmp_path / 'damaged', policy=LFA, watch=Damage(), store=dict(where='file'))
    runner.train()
    assert same(runner.model.state_dict(), plain[0])


def test_a_resumed_run_without_room_goes_on_in_plain_freezing(tmp_path):
    class Stop(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 10:
                raise KeyboardInterrupt

    plain = run(tmp_path / 'plain', policy=LFA)
    build.count += 1
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'run', policy=LFA, watch=Stop(), store={}).train()
    Samples.loaded = 0
    weights, watch, _ = run(tmp_path / 'run', policy=LFA, store=dict(max_gb=1e-6), resume=True)
    assert same(weights, plain[0])
    assert watch.called == [set(range(LAYERS))] * 9
    # Nine batches and four validations (one is made up for); tried at the start, twice at once
    # when it goes on (the new boundary, the old one), and at the two freezes that come.
    assert Samples.loaded == (9 + 4 + 5) * 4


def test_files_stay_where_they_are_to_be_kept(tmp_path):
    run(tmp_path, policy=dict(type='StaticFreezing', num_frozen=2), epochs=1,
        store=dict(where='file', keep=True))
    assert (tmp_path / 'feature_store' / 'layers_2' / 'features.bin').stat().st_size == (
        12 * 2 * 6 * 4 * 4 * 4)
    # A run with a store in memory leaves them, too.
    run(tmp_path, policy=dict(type='StaticFreezing', num_frozen=2), epochs=1, store={})
    assert (tmp_path / 'feature_store' / 'layers_2' / 'features.bin').is_file()



@pytest.mark.parametrize('max_gb, calls, fills', [
    (TWO * .9, [0, 0, 1, 1, 1, 1], [(0, 1)]),  # the larger ones never fit: the first one stays
    (TWO, [0, 0, 1, 2, 3, 4], [(0, 1), (0, 2), (0, 3), (0, 4)]),  # not beside an old one
    (ONE * .9, [0] * 6, []),
])
def test_without_room_the_layers_run_forward(tmp_path, max_gb, calls, fills):
    plain = run(tmp_path / 'plain', policy=LFA)
    weights, watch, record = run(tmp_path / 'stored', policy=LFA, store=dict(max_gb=max_gb))
    assert same(weights, plain[0])
    assert watch.called == [set(range(n, LAYERS)) for n in calls for _ in range(3)]
    assert [(f['from_layer'], f['to_layer']) for f in record['fills']] == fills


def test_a_full_disk_is_no_room_either(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plain = run(tmp_path / 'plain', policy=LFA)
    monkeypatch.setattr(os, 'posix_fallocate', full)
    stored = run(tmp_path / 'stored', policy=LFA, store=dict(where='file'))
    assert same(stored[0], plain[0]) and stored[2]['fills'] == []


def test_an_image_of_another_size_that_is_met_later_lets_layers_run_forward(tmp_path):
    options = dict(policy=LFA, data=[*range(11), 1000], batch_size=1, samples=12)
    plain = run(tmp_path / 'plain', **options)
    stored = run(tmp_path / 'stored', store={}, **options)
    assert same(stored[0], plain[0]) and stored[2]['fills'] == []

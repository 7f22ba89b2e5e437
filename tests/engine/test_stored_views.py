"""Augmentation in views, trained from the store: nothing is lost, and images are not read."""
import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mmdet.registry import TASK_UTILS
from mmengine.hooks import Hook
from store_runs import ConvNet, vit
from view_runs import Compare, Pictures, build, options, run

from mmfreeze.datasets.transforms import LoadImageUnlessStored
from mmfreeze.freezing import FeatureStore, SchedulePolicy

LFA = dict(type='LinearFreezing')


def same(weights, others):
    return all(torch.equal(value, others[name]) for name, value in weights.items())


@TASK_UTILS.register_module(force=True)
class Stairs(SchedulePolicy):
    """Freezes what a list says, a fifth of the run after the other."""

    def __init__(self, steps):
        super().__init__()
        self.steps = [max(steps[:i + 1]) for i in range(len(steps))]

    def target(self, clock):
        return self.steps[clock.iteration * 5 // clock.max_iters]


@pytest.fixture
def read(monkeypatch):
    """The paths of the images that were read, in order."""
    paths, transform = [], LoadImageUnlessStored.__mro__[1].transform

    def note(self, results):
        paths.append(results['img_path'])
        return transform(self, results)

    monkeypatch.setattr(LoadImageUnlessStored.__mro__[1], 'transform', note)
    return paths


@pytest.mark.parametrize('views, backbone, where, others', [
    (1, vit, 'ram', dict()), (4, vit, 'file', dict()), (4, ConvNet, 'ram', dict(iters=18)),
    (3, vit, 'file', dict(iters=20, count=10)), (2, vit, 'ram', dict(workers=2))],
    ids=['one view', 'four views', 'iterations', 'passes and batches askew', 'workers'])
def test_losses_and_weights_are_those_of_plain_freezing(tmp_path, views, backbone, where, others):
    common = dict(policy=LFA, **options(tmp_path / 'images', views=views, backbone=backbone,
                                        **others))
    plain = run(tmp_path / 'plain', **common)
    common.update(options(tmp_path / 'images', views=views, backbone=backbone, **others))
    compare = Compare()
    stored = run(tmp_path / 'stored', store=dict(where=where), also=compare, **common)
    assert stored[1].losses == plain[1].losses and len(set(plain[1].losses)) > 10
    assert same(stored[0], plain[0])
    assert compare.compared >= 11 and compare.bare >= 10
    assert stored[1].called[-1] == set()


def test_images_are_read_once_for_each_view(tmp_path, read):
    given = options(tmp_path / 'images', views=2)
    record = run(tmp_path / 'run', policy=dict(type='StaticFreezing', num_frozen=2), store={},
                 **given)[2]
    training = [path for path in read if int(Path(path).name.split('_')[0]) < 100]
    assert 12 < sum(fill['samples'] for fill in record['fills']) <= 24
    filled = sum(-(-fill['samples'] // 4) for fill in record['fills'])
    # Whole batches that are filled, two that try the boundary out, two that were on their way.
    assert len(training) == 4 * (filled + 2 + 2)
    assert len(record['epochs']) == 6


@pytest.mark.parametrize('change', [
    dict(loading='LoadImageFromFile'), dict(preprocessor='DetDataPreprocessor')])
def test_without_transform_or_preprocessor_images_are_read_all_the_same(tmp_path, change):
    from mmdet.models import DetDataPreprocessor
    kind = change.pop('preprocessor', None)
    given = options(tmp_path / 'images', **change)
    if kind:
        given['model'].data_preprocessor = DetDataPreprocessor(mean=[100.] * 3, std=[50.] * 3)
    compare = Compare()
    run(tmp_path / 'run', policy=LFA, store={}, also=compare, **given)
    assert compare.compared and not compare.bare


@settings(max_examples=6, deadline=None, derandomize=True, database=None,
          phases=[Phase.explicit, Phase.generate],
          suppress_health_check=[HealthCheck.too_slow])
@given(views=st.integers(1, 5), count=st.integers(5, 11), batch_size=st.integers(2, 4),
       steps=st.lists(st.integers(0, 4), min_size=5, max_size=5), seed=st.integers(0, 99),
       in_epochs=st.booleans(), where=st.sampled_from(['ram', 'file']),
       backbone=st.sampled_from([vit, ConvNet]))
def test_stored_features_equal_recomputed_ones(views, count, batch_size, steps, seed, in_epochs,
                                               where, backbone):
    """Over random schedules of views, batch compositions and moves of the boundary."""
    with tempfile.TemporaryDirectory() as folder:
        iters = None if in_epochs else 5 * -(-count // batch_size)
        compare = Compare()
        record = run(Path(folder, 'run'), policy=dict(type='Stairs', steps=steps), also=compare,
                     store=dict(where=where), epochs=5, iters=iters, batch_size=batch_size,
                     seed=seed, **options(Path(folder, 'images'), views=views, count=count,
                                          backbone=backbone))[2]
    assert bool(compare.compared) == any(steps)
    assert bool(record['fills']) == any(steps)


@pytest.mark.parametrize('where, stop_at, dtype', [
    ('ram', 10, 'float16'), ('file', 13, 'bfloat16')])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, where, stop_at, dtype):
    class Stop(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == stop_at:
                raise KeyboardInterrupt

    def given():
        return dict(policy=LFA, store=dict(where=where, dtype=dtype),
                    **options(tmp_path / 'images', views=3))

    expected = run(tmp_path / 'whole', **given())
    build.count += 1
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'run', watch=Stop(), **given()).train()
    weights, watch, _ = run(tmp_path / 'run', resume=True, **given())
    assert same(weights, expected[0])
    assert watch.losses == expected[1].losses[-len(watch.losses):]


KILLED = '''
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from mmengine.hooks import Hook
from view_runs import options, run
from mmfreeze.freezing import FeatureStore

# Kills itself in the middle of a record's writing.
put, left = FeatureStore._checksum, [{puts}]
def dying(self, record):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(self, record)
FeatureStore._checksum = dying
run(Path({folder!r}, 'run'), policy=dict(type='LinearFreezing'), store=dict(where='file'),
    resume={resume}, **options(Path({folder!r}, 'images'), views=2))
'''


def test_a_run_killed_while_it_writes_ends_with_the_same_bits(tmp_path):
    expected = run(tmp_path / 'whole', policy=LFA, store=dict(where='file'),
                   **options(tmp_path / 'images', views=2))
    code = KILLED.format(tests=str(Path(__file__).parent), puts=41, folder=str(tmp_path),
                         resume=False)
    killed = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            env=dict(os.environ, OMP_NUM_THREADS=str(torch.get_num_threads())))
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    weights, watch, record = run(tmp_path / 'run', policy=LFA, store=dict(where='file'),
                                 resume=True, **options(tmp_path / 'images', views=2))
    assert same(weights, expected[0])
    assert watch.losses == expected[1].losses[-len(watch.losses):]


@pytest.mark.parametrize('length', [20, 9000])  # of one record; of most of them
def test_a_damaged_record_is_computed_anew(tmp_path, length):
    class Damage(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter in (5, 11):
                path, = (tmp_path / 'run' / 'feature_store').glob('*/features.bin')
                with open(path, 'r+b') as file:
                    file.seek(runner.train_loop.dataloader.batch_sampler.views(6, [0])[0] * 768)
                    file.write(b'\x11' * length)

    def given():
        return dict(policy=dict(type='StaticFreezing', num_frozen=2),
                    **options(tmp_path / 'images', views=2))

    plain = run(tmp_path / 'plain', **given())
    build.count += 1
    runner = build(tmp_path / 'run', watch=Damage(), store=dict(where='file'), **given())
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    assert same(runner.model.state_dict(), plain[0])
    assert any('damaged on the disk' in line for line in warnings)


def test_a_full_disk_ends_in_plain_freezing(tmp_path, monkeypatch):
    def given():
        return dict(policy=LFA, **options(tmp_path / 'images', views=2))

    plain = run(tmp_path / 'plain', **given())
    calls = []

    def full(*_):
        calls.append(1)
        if len(calls) > 2:  # the first generation (features and checksums) had room
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'posix_fallocate', lambda file, _, size: (
        full(), os.ftruncate(file, size)))
    build.count += 1
    runner = build(tmp_path / 'run', store=dict(where='file'), **given())
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    assert same(runner.model.state_dict(), plain[0])
    assert sum('No space left' in line and 'run forward' in line for line in warnings) == 3


def test_a_batch_that_came_without_images_gets_them_when_the_store_is_gone(tmp_path, monkeypatch):
    """In an iteration loop with workers, batches are on their way when a boundary moves."""
    def given():
        return dict(policy=LFA, iters=18, workers=2,
                    **options(tmp_path / 'images', views=1, backbone=vit))

    plain = run(tmp_path / 'plain', **given())
    opened, init = [], FeatureStore.__init__

    def no_more(self, *args, **kwargs):
        opened.append(1)
        if len(opened) > 1:
            raise OSError('store: no memory')
        init(self, *args, **kwargs)

    monkeypatch.setattr(FeatureStore, '__init__', no_more)
    # With room for one only, the old one goes before the new one is refused.
    monkeypatch.setattr('mmfreeze.engine.store_room.free_memory',
                        lambda: 0 if opened else 10**9)
    weights, watch, record = run(tmp_path / 'run', store=dict(), **given())
    assert same(weights, plain[0])
    assert [fill['to_layer'] for fill in record['fills']][-2:] == [1, 0]  # given up
    assert set() in [called & {0} for called in watch.called]
    assert watch.called[-1] == {0, 1, 2, 3}


def test_views_within_another_transform_are_drawn_by_it(tmp_path):
    """And a pipeline may hold any callable; without a store neither is our business."""
    seen = []

    def look(results):
        seen.append(results['flip_direction'])
        return results

    given = options(tmp_path / 'images')
    pipeline = given['dataset']['pipeline']
    pipeline[2] = dict(type='RandomApply', transforms=[pipeline[2]], prob=1.)
    pipeline.insert(3, look)
    run(tmp_path / 'run', policy=LFA, **given)
    assert set(seen) == {None, 'horizontal', 'vertical', 'diagonal'}


def test_images_of_unknown_size_are_read(tmp_path, monkeypatch):
    drawn = Pictures._draw
    monkeypatch.setattr(Pictures, '_draw', lambda self, number: {
        key: value for key, value in drawn(self, number).items() if key != 'height'})
    compare = Compare()
    run(tmp_path / 'run', policy=LFA, store={}, also=compare, **options(tmp_path / 'images'))
    assert compare.compared and compare.bare

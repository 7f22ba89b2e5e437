"""Runs as their work dirs tell of them: config, progress, memory, which belong together."""
import json
import os

import pytest
from mmengine.config import Config

from mmfreeze.analysis.runs import group_runs, labels, read_run, read_runs, require_free


def settings(epochs=4, **more):
    return dict(train_cfg=dict(max_epochs=epochs), **more)


@pytest.fixture
def make(make_run):
    """Makes a run of four epochs."""
    def make(name, config=None, **more):
        return make_run(name, frozen=[0, 1, 1, 2], seconds=[2., 1.5, 1.5, 1.], config=config,
                        **more)
    return make


def test_how_far_a_run_is(make):
    whole, part = (read_run(make(name, settings(epochs))) for name, epochs in (('a', 4), ('b', 26)))
    assert (whole.name, whole.planned_epochs, whole.finished, whole.progress) == ('a', 4, True, '4')
    assert whole.seconds == [2., 3.5, 5., 6.] and whole.memory == [None] * 4
    assert (part.planned_epochs, part.finished, part.progress) == (26, False, '4 of 26')


def test_a_record_alone_does_not_tell_whether_more_is_to_come(make):
    run = read_run(make('a'))
    assert (run.config, run.planned_epochs, run.finished, run.progress) == (None, None, None, '4')


def test_the_last_epoch_is_validated_where_the_config_says_so(make):
    late = settings()
    late['train_cfg']['val_begin'] = 5
    for name, config, finished in (('validates', settings(), False), ('late', late, True),
                                   ('never', settings(val_cfg=None), True)):
        work_dir = make(name, config)
        path = work_dir / 'freezing_timeline.json'
        record = json.loads(path.read_text())
        record['validations'].pop()
        path.write_text(json.dumps(record))
        assert read_run(work_dir).finished is finished


def test_config_of_the_newest_start_of_training(make):
    work_dir = make('a', settings())
    for start, epochs, hooks in (('20260102_000000', 5, [dict(type='LayerFreezingHook')]),
                                 ('20260103_000000', 6, [])):  # the last one is a test
        (work_dir / start / 'vis_data').mkdir(parents=True)
        (work_dir / start / 'vis_data/scalars.json').touch()
        Config(settings(epochs, custom_hooks=hooks)).dump(work_dir / start / 'vis_data/config.py')
    assert read_run(work_dir).planned_epochs == 5


def test_config_beside_the_record(make):
    """Without MMEngine's local log there is only the copy in the work dir."""
    work_dir = make('a')
    hooks = [dict(type='mmdet.LayerFreezingHook')]
    for name, epochs, age in (('old', 4, 2), ('new', 5, 1)):
        Config(settings(epochs, custom_hooks=hooks)).dump(work_dir / f'{name}.py')
        os.utime(work_dir / f'{name}.py', (10**9 - age, 10**9 - age))
    (work_dir / 'script.py').write_text('import sys; sys.exit(3)')
    (work_dir / 'gone.py').symlink_to('nowhere.py')
    assert read_run(work_dir).planned_epochs == 5


def test_memory_of_each_epoch(make):
    work_dir = make('a', settings(), memory=[900, 950, 700])
    log = work_dir / '20260102_000000/vis_data/scalars.json'  # it was resumed in epoch 3
    log.parent.mkdir(parents=True)
    log.write_text('{"epoch": 3, "memory": 600}\n{"epoch": 3, "memory": 610}\n'
                   '{"freeze/num_frozen": 1}\n{"epoch": 3, "mem')
    assert read_run(work_dir).memory == [900, 950, 610, None]


def test_runs_that_differ_in_their_seeds_only_belong_together(make):
    def of(name, *, lr=.1, seed=0, **more):
        return read_run(make(name, settings(lr=lr, randomness=dict(seed=seed), **more)))
    runs = [of('a'), of('b', lr=.2), of('c', seed=1, log_level='WARNING'), of('d', lr=.2, seed=2),
            read_run(make('e')), read_run(make('f')), of('g', load_from='weights.pth')]
    # The first start of a run that was resumed tells what it began with.
    hooks = [dict(type='LayerFreezingHook')]
    for name, weights in (('h', None), ('i', 'weights.pth')):
        work_dir = make(name, settings(lr=.1, resume=True, load_from='epoch_2.pth'))
        first = work_dir / '20250101_000000/vis_data/config.py'
        first.parent.mkdir(parents=True)
        (first.parent / 'scalars.json').touch()
        Config(settings(load_from=weights, custom_hooks=hooks)).dump(first)
        runs.append(read_run(work_dir))
    groups = [['a', 'c', 'h'], ['b', 'd'], ['e'], ['f'], ['g', 'i']]
    assert [[run.name for run in group] for group in group_runs(runs)] == groups
    assert [[run.name for run in group] for group in group_runs(runs[::-1])] == [
        group[::-1] for group in (['g', 'i'], ['a', 'c', 'h'], ['f'], ['e'], ['b', 'd'])]


def test_labels_tell_runs_apart(make):
    runs = [read_run(make(name)) for name in ('x/base/seed_0', 'x/afa/seed_0', 'x/afa/seed_1')]
    assert labels(runs[1:]) == ['seed_0', 'seed_1']
    assert labels(runs) == ['base/seed_0', 'afa/seed_0', 'afa/seed_1']


def test_what_is_no_run_is_named(make, tmp_path):
    work_dir = make('a')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_run(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match='is a file: give the work dir'):
        read_run(work_dir / 'freezing_timeline.json')
    with pytest.raises(ValueError, match='given twice'):
        read_runs([work_dir, tmp_path / 'a/../a'])
    (work_dir / '20260101_000000/vis_data/scalars.json').write_text('{not json}\n')
    with pytest.raises(ValueError, match='not a log of scalars'):
        read_run(work_dir)


def test_files_of_a_run_are_not_overwritten(make, tmp_path):
    runs = [read_run(make('a'))]
    for free in (tmp_path / 'a/new.png', tmp_path / 'x.png'):
        require_free(free, runs)
    (tmp_path / 'x.png').touch()
    require_free(tmp_path / 'x.png', runs)
    with pytest.raises(ValueError, match='not overwritten'):
        require_free(tmp_path / 'a/freezing_timeline.json', runs)

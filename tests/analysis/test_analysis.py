"""The record of a run, and its table."""
import json

import pytest

from mmfreeze.analysis.tables import epoch_table
from mmfreeze.analysis.timeline import read_timeline


@pytest.fixture
def work_dirs(tmp_path):
    """A baseline of 2 s an epoch, and a run that freezes two of three layers and takes less."""
    for name, policy, frozen, seconds in (
            ('base', 'NoFreezing', [0, 0, 0, 0], [2., 2., 2., 2.]),
            ('lfa', 'LinearFreezing', [0, 1, 1, 2], [2., 1.5, 1.5, 1.])):
        (tmp_path / name).mkdir()
        metrics = {'coco/bbox_mAP': .4, 'coco/bbox_mAP_50': .75, 'coco/AR@10': .5}
        (tmp_path / name / 'freezing_timeline.json').write_text(json.dumps(dict(
            policy=dict(type=policy), layers=[['a'], ['b'], ['c']], decisions=[],
            epochs=[dict(epoch=i + 1, num_frozen=n, train_seconds=s)
                    for i, (n, s) in enumerate(zip(frozen, seconds))],
            validations=[dict(iteration=40, epoch=4, metrics=metrics)])))
    return [tmp_path / 'base', tmp_path / 'lfa']


def test_epoch_table(work_dirs):
    lines = epoch_table(read_timeline(work_dirs[1])).splitlines()
    assert lines[0].split() == ['epoch', 'frozen', 'of', '3', 'train', 's', 'AP', 'AP50', 'AR@10']
    assert lines[2].split() == ['2', '1', '1.5']
    assert lines[4].split() == ['4', '2', '1.0', '0.400', '0.750', '0.500']


def test_epoch_table_of_a_classifier(work_dirs):
    path = work_dirs[1] / 'freezing_timeline.json'
    record = json.loads(path.read_text())
    record['validations'][0]['metrics'] = {'accuracy/top1': 70.5}
    path.write_text(json.dumps(record))
    lines = epoch_table(read_timeline(work_dirs[1])).splitlines()
    assert lines[0].endswith('train s  top-1 (%)') and lines[4].split()[2:] == ['1.0', '70.500']


def test_foreign_work_dirs_are_named(tmp_path, work_dirs):
    with pytest.raises(FileNotFoundError, match='LayerFreezingHook'):
        read_timeline(tmp_path)
    (work_dirs[0] / 'freezing_timeline.json').write_text('{"policy": 1')
    with pytest.raises(ValueError, match='not the timeline of a run'):
        read_timeline(work_dirs[0])
    (work_dirs[0] / 'freezing_timeline.json').write_text('{"other": 1}')
    with pytest.raises(ValueError, match='not the timeline of a run'):
        read_timeline(work_dirs[0])

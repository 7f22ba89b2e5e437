"""Tables and pictures from the record of a run."""
import json

import pytest

from mmfreeze.analysis.plots import freezing_figure, save_figure
from mmfreeze.analysis.runs import read_runs
from mmfreeze.analysis.tables import comparison, comparison_table, epoch_table
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


def cells(line):
    return [cell.strip() for cell in line.strip('|').split('|')]


def compared(work_dirs):
    """Heading and lines of the table of runs, as cells."""
    heading, line, *lines = comparison_table(comparison(read_runs(work_dirs))).splitlines()
    assert cells(line)[-1] == '--:'
    return [cells(heading), *map(cells, lines[:len(work_dirs)])]


def test_comparison_table(work_dirs):
    heading, base, lfa = compared(work_dirs)
    assert heading[4:7] == ['epoch 1 (s)', 'epoch 3 (s)', 'epoch 4 (s)']
    assert base == ['base', 'NoFreezing', '-', '4 epochs', '2.00', '2.00', '2.00', '2.00', '8.00',
                    '0.500', '0.750', '0.400', '1.00', '0 of 3']
    assert lfa == ['lfa', 'LinearFreezing', '-', '4 epochs', '2.00', '1.50', '1.00', '1.50', '6.00',
                   '0.500', '0.750', '0.400', '1.33', '2 of 3']


def test_tables_of_classifiers(work_dirs):
    for work_dir, accuracy in zip(work_dirs, (71.25, 70.5)):
        path = work_dir / 'freezing_timeline.json'
        record = json.loads(path.read_text())
        record['validations'][0]['metrics'] = {'accuracy/top1': accuracy}
        path.write_text(json.dumps(record))
    lines = epoch_table(read_timeline(work_dirs[1])).splitlines()
    assert lines[0].endswith('train s  top-1 (%)') and lines[4].split()[2:] == ['1.0', '70.500']
    heading, base, lfa = compared(work_dirs)
    assert heading[8:11] == ['total (s)', 'top-1 (%)', 'speed-up']
    assert base[8:11] == ['8.00', '71.25', '1.00'] and lfa[8:11] == ['6.00', '70.50', '1.33']


def test_picture_shows_the_frozen_cells(work_dirs, tmp_path):
    from matplotlib.image import imread
    save_figure(freezing_figure(read_runs(work_dirs)), tmp_path / 'x.png')
    picture = imread(tmp_path / 'x.png')[..., :3]
    grey = abs(picture - [0xd5 / 255, 0xd9 / 255, 0xde / 255]).max(-1) < .01
    half = grey.shape[1] // 2
    # Four of the twelve cells of the right panel are frozen, none of the left one (the legend's
    # patch is small).
    assert grey[:grey.shape[0] // 2, half:].sum() > 20 * grey[:grey.shape[0] // 2, :half].sum()
    assert grey[:, half:].sum() > 5000


def test_foreign_work_dirs_are_named(tmp_path, work_dirs):
    with pytest.raises(FileNotFoundError, match='LayerFreezingHook'):
        read_timeline(tmp_path)
    (work_dirs[0] / 'freezing_timeline.json').write_text('{"policy": 1')
    with pytest.raises(ValueError, match='not the timeline of a run'):
        read_timeline(work_dirs[0])
    (work_dirs[0] / 'freezing_timeline.json').write_text('{"other": 1}')
    with pytest.raises(ValueError, match='not the timeline of a run'):
        read_timeline(work_dirs[0])

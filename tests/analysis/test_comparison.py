"""Runs side by side."""
import json

import pytest

from mmfreeze.analysis.plots import curves_figure, save_figure
from mmfreeze.analysis.runs import read_runs
from mmfreeze.analysis.tables import comparison, comparison_table, shown_epochs


def cells(line):
    return [cell.strip() for cell in line.strip('|').split('|')]


def tables(runs):
    """Lines of each table as cells, without the line below the heading; and the notes."""
    blocks = comparison_table(comparison(runs)).split('\n\n')
    lines = [[cells(line) for line in block.splitlines() if line[1] != '-']
             for block in blocks if block.startswith('|')]
    return lines, blocks[-1]


def settings(seed=0, epochs=4):
    return dict(train_cfg=dict(max_epochs=epochs), randomness=dict(seed=seed))


BASE = dict(frozen=[0, 0, 0, 0], seconds=[2., 2., 2., 2.])
LFA = dict(policy='LinearFreezing', frozen=[0, 1, 1, 2], seconds=[2., 1.5, 1.5, 1.])


def test_columns_of_the_paper(make_run):
    runs = read_runs([make_run('base', **BASE, config=settings(), memory=[900] * 4),
                      make_run('lfa', **LFA, config=settings(), memory=[900, 800, 800, 700])])
    (heading, base, lfa), = tables(runs)[0]
    assert heading == [
        'run', 'policy', 'seed', 'epochs', 'epoch 1 (s)', 'epoch 3 (s)', 'epoch 4 (s)',
        'mean epoch (s)', 'total (s)', 'AR@10', 'AP50', 'AP', 'speed-up', 'frozen layers',
        'peak memory (MiB)']
    assert base == ['base', 'NoFreezing', '0', '4', '2.00', '2.00', '2.00', '2.00', '8.00', '0.500',
                    '0.750', '0.400', '1.00', '0 of 3', '900']
    assert lfa == ['lfa', 'LinearFreezing', '0', '4', '2.00', '1.50', '1.00', '1.50', '6.00',
                   '0.500', '0.750', '0.400', '1.33', '2 of 3', '900']


def test_shown_epochs():
    assert [shown_epochs(epochs) for epochs in (65, 26, 1)] == [(1, 31, 61), (1, 14, 26), (1, 1, 1)]


def test_metrics_of_classifiers(make_run):
    work_dirs = [make_run('base', **BASE), make_run('lfa', **LFA)]
    for work_dir, accuracy in zip(work_dirs, (71.25, 70.5)):
        path = work_dir / 'freezing_timeline.json'
        record = json.loads(path.read_text())
        record['validations'][-1]['metrics'] = {'accuracy/top1': accuracy}
        path.write_text(json.dumps(record))
    (heading, base, lfa), = tables(read_runs(work_dirs))[0]
    assert heading[8:] == ['total (s)', 'top-1 (%)', 'speed-up', 'frozen layers']
    assert base[9] == '71.25' and lfa[9] == '70.50'


def test_an_unfinished_run_is_compared_over_its_epochs(make_run):
    """An interrupted run is not a fast one."""
    runs = read_runs([make_run('base', frozen=[0] * 4, seconds=[2., 3., 9., 9.], config=settings()),
                      make_run('lfa', frozen=[0, 1], seconds=[2., 2.], config=settings()),
                      make_run('new', frozen=[], seconds=[], config=settings())])
    (_, base, lfa, new), = tables(runs)[0]
    assert base[12] == '1.00'
    assert lfa[3:9] == ['2 of 4', '2.00', '-', '-', '2.00', '4.00']
    assert lfa[12] == '1.25 (epochs 1 to 2)'
    assert new[3:] == ['0 of 4', *['-'] * 9, '- of 3']
    notes = tables(runs)[1]
    assert 'lfa is not finished (2 of 4 epochs): its metrics are those after epoch 2' in notes
    assert 'new is not finished (0 of 4 epochs): it has no metrics yet' in notes


def test_a_longer_run_is_compared_over_the_epochs_of_the_base(make_run):
    runs = read_runs([make_run('base', frozen=[0, 0], seconds=[2., 2.], config=settings(epochs=2)),
                      make_run('lfa', **LFA, config=settings())])
    (heading, _, lfa), = tables(runs)[0]
    assert lfa[12] == '1.14 (epochs 1 to 2)'
    assert heading[4:7] == ['first epoch (s)', 'middle epoch (s)', 'last epoch (s)']


def test_without_a_config_only_finished_epochs_can_be_compared(make_run):
    runs = read_runs([make_run('base', **BASE)])
    assert 'not known whether these are finished: base' in tables(runs)[1]
    with pytest.raises(ValueError, match='new has no finished epoch'):
        comparison(read_runs([make_run('new', frozen=[], seconds=[])]))


@pytest.fixture
def seeds(make_run):
    """Two configs, each with three seeds; of the second, one run is not finished."""
    base, afa = [], []
    for seed, (epoch, ap50) in enumerate(((2., .7), (2.5, .75), (3., .8))):
        base.append(make_run(f'base/seed_{seed}', frozen=[0] * 4, seconds=[epoch] * 4,
                             config=settings(seed), ap50=ap50))
        afa.append(make_run(f'afa/seed_{seed}', 'AdaptiveFreezing',
                            frozen=[1, 1, 1, 2 + seed][:2 if seed == 2 else 4],
                            seconds=[.5 * epoch] * (2 if seed == 2 else 4),
                            config=settings(seed), ap50=ap50))
    return read_runs(base + afa)


def test_seeds(seeds):
    compared = comparison(seeds)
    assert [run['compared_with'] for run in compared['runs']] == [
        f'base/seed_{seed}' for seed in (0, 1, 2)] * 2
    assert [run['numbers']['speed_up'] for run in compared['runs']] == [1., 1., 1., 2., 2., 2.]
    base, afa = compared['groups']
    assert base['runs'] == ['base/seed_0', 'base/seed_1', 'base/seed_2']
    assert (base['mean']['total_seconds'], base['std']['total_seconds']) == (10., 2.)
    assert (afa['mean']['total_seconds'], afa['counted'], afa['seeds']) == (4.5, 2, 2)
    (heading, base, afa), notes = tables(seeds)[0][1], tables(seeds)[1]
    assert heading[:3] == ['runs', 'policy', 'finished'] and heading[10:] == [
        'AP', 'speed-up', 'frozen layers']
    assert base[2:] == ['3 of 3', *['2.50 ± 0.50'] * 4, '10.0 ± 2.0', '0.500', '0.750 ± 0.050',
                        '0.400', '1.00', '0 of 3']
    assert afa[2] == '2 of 3' and afa[12] == '2.5 ± 0.7 of 3'
    assert 'Fewer than 3 seeds of a config' in notes


def test_three_seeds_of_each_are_enough(seeds):
    assert 'Fewer than' not in tables(seeds[:3])[1]
    assert 'Fewer than' in tables([seeds[0], seeds[3]])[1]


def test_a_seed_without_counterpart_is_compared_with_the_first_run(seeds):
    compared = comparison([seeds[0], seeds[1], seeds[5]])
    assert [run['compared_with'] for run in compared['runs']] == [
        'seed_0', 'seed_1', 'seed_0']


def test_curves(make_run, tmp_path):
    runs = read_runs([
        make_run('base', **BASE, config=settings(), memory=[900] * 4),
        make_run('lfa', 'LinearFreezing', frozen=[0, 1], seconds=[1000., 800.], config=settings())])
    figure = curves_figure(runs)
    axes = {axis.get_ylabel(): axis for axis in figure.axes}
    assert list(axes) == ['epoch / s', 'frozen layers', 'AP50', 'peak memory / MiB']
    lines = {name: [line.get_xydata().tolist() for line in axis.lines]
             for name, axis in axes.items()}
    # The run that goes on ends in a ring; 1,800 seconds are 30 minutes.
    assert lines['frozen layers'][1:] == [[[1000 / 60, 0.], [30., 1.]], [[30., 1.]]]
    assert lines['epoch / s'][2] == [[30., 800.]] and len(lines['peak memory / MiB']) == 1
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ['base', 'lfa (2 of 4 epochs)', 'not finished']
    with pytest.raises(ValueError, match='no epoch is finished'):
        curves_figure(read_runs([make_run('new', frozen=[], seconds=[], config=settings())]))
    with pytest.raises(ValueError, match='x.docx: the name of a picture ends in .* .png'):
        save_figure(figure, tmp_path / 'x.docx')

"""The protocol's numbers, from records written by hand."""
import json
from dataclasses import replace

import pytest
from fake_training import COSTS, fake_protocol

from mmfreeze.analysis.plots.style import COLOURS
from mmfreeze.analysis.protocol.figures import figures_of
from mmfreeze.analysis.protocol.picture import plot_protocol
from mmfreeze.analysis.protocol.report import part_line, protocol_report
from mmfreeze.analysis.timeline import RunRecord
from mmfreeze.freezing.saving import predicted_saving

ITERATIONS = 4  # of an epoch, of two images each
FULL = 41  # FLOPs of an image: 5 + 3 + 2 + 4 forward, 10 + 6 + 4 + 7 backward


def record(seconds, frozen=(), fills=(), policy='NoFreezing', ap50=.7):
    """A run with an epoch for each of the seconds; frozen: (iteration, number)."""
    epochs = len(seconds)
    return RunRecord(
        name='seed_0', policy=dict(type=policy), layers=[['a'], ['b'], ['c']],
        decisions=[dict(iteration=at, epoch=at // ITERATIONS, num_frozen=n) for at, n in frozen],
        epochs=[dict(epoch=i + 1, train_seconds=s, num_frozen=max(
            [n for at, n in frozen if at < ITERATIONS * (i + 1)], default=0))
            for i, s in enumerate(seconds)],
        validations=[dict(iteration=ITERATIONS * e, epoch=e, metrics={
            'coco/bbox_mAP': .4, 'coco/bbox_mAP_50': value, 'coco/AR@10': .5})
            for e, value in ((epochs // 2, ap50 / 2), (epochs, ap50))],
        fills=[dict(iteration=at, from_layer=a, to_layer=b, samples=samples, bytes=1,
                    seconds=.25) for at, a, b, samples in fills])


def figures(row, *args, seed=0, memory=None, **kwargs):
    facts = {} if memory is None else dict(peak_memory=memory, memory_of='the process',
                                           attempts=1, device='CPU, 1 threads')
    return figures_of(row, seed, record(*args, **kwargs), facts, COSTS)


BASE = figures('base', [2.] * 6, memory=int(600e6))


# --------------------------------------------------------------------------------------------------
# FLOPs
# --------------------------------------------------------------------------------------------------
def test_flops_of_an_unfrozen_run():
    assert BASE.flops == BASE.flops_of_ceiling == 6 * COSTS.images * FULL and BASE.fill_flops == 0


def test_flops_of_a_course_by_epochs():
    course = [0, 0, 1, 1, 3, 3]
    run = figures('afa', [2.] * 6, frozen=[(8, 1), (16, 3)])
    saving = predicted_saving(COSTS.layers, course)
    assert run.flops / BASE.flops == pytest.approx(1 - saving) == pytest.approx(
        (41 + 41 + 31 + 31 + 21 + 21) / (6 * 41))
    assert run.frozen == course


def test_decisions_inside_an_epoch_count_from_their_iteration_on():
    run = figures('freezeout', [2.] * 2, frozen=[(3, 1), (6, 2)])
    assert run.flops == pytest.approx(2 * (3 * 41 + 3 * 31 + 2 * 25))


def test_flops_of_a_store():
    course = [0, 0, 1, 1, 3, 3]
    run = figures('afa+store', [2.] * 6, frozen=[(8, 1), (16, 3)],
                  fills=[(8, 0, 1, 8), (16, 1, 3, 8)])
    fills = [(0, 1), (1, 3)]
    assert run.flops / BASE.flops == pytest.approx(
        1 - predicted_saving(COSTS.layers, course, stored=True, fills=fills))
    free, paid = run.ceilings(BASE)
    assert free == pytest.approx(1 / (1 - predicted_saving(COSTS.layers, course, stored=True)))
    assert paid == pytest.approx(1 / (1 - predicted_saving(COSTS.layers, course, True, fills)))
    assert run.fill_seconds == .5


def test_several_views_are_filled_one_by_one():
    one, four = (figures('afa+store', [2.] * 6, frozen=[(8, 1)], fills=[(8, 0, 1, 8 * views)])
                 for views in (1, 4))
    assert one.fill_flops == 8 * 5 and four.fill_flops == 4 * one.fill_flops


def test_a_store_that_stays_behind_pays_for_the_layers_between():
    """Three layers frozen, features stored behind one: two still run forward."""
    run = figures('afa+store', [2.] * 2, frozen=[(0, 3)], fills=[(0, 0, 1, 8)])
    assert run.flops == 2 * 8 * (3 + 2 + 4 + 7) + 8 * 5
    assert run.flops_of_ceiling == 2 * 8 * (4 + 7)
    # Never filled: frozen layers run forward all the time; the ceiling is that of the course.
    never = figures('afa+store', [2.] * 2, frozen=[(0, 3)])
    assert never.flops == 2 * 8 * 21 and never.ceilings(BASE)[0] == never.ceilings(BASE)[1]


# --------------------------------------------------------------------------------------------------
# Tables
# --------------------------------------------------------------------------------------------------
def test_columns():
    assert BASE.columns(BASE) == [6, 2., 2., 2., 2., 12., .5, .7, .4, 1., 600., 1.]
    run = figures('lfa', [2., 1.5, 1.5, 1.25, 1., .75], memory=int(450e6), ap50=.65)
    assert run.columns(BASE) == [6, 2., 1.25, .75, 8 / 6, 8., .5, .65, .4, 1.5, 450., 1.]


def test_the_papers_epochs():
    run = figures('lfa', list(map(float, range(65))))
    assert run.shown_epochs == (0, 30, 60)
    assert '| epoch 1 (s) | epoch 31 (s) | epoch 61 (s) | mean epoch (s)' in protocol_report(
        'title', [replace(run, row='base')])


def test_a_compressed_row_is_a_share_of_the_whole_run():
    run = figures("base in afa's time", [2.] * 4)
    assert run.columns(BASE)[-3:] == [1.5, None, pytest.approx(4 / 6)]


def test_one_seed_in_full():
    stored = figures('afa+store', [1.] * 6, frozen=[(8, 1), (16, 3)],
                     fills=[(8, 0, 1, 8), (16, 1, 3, 8)], policy='AdaptiveFreezing')
    text = protocol_report('config.py, CPU', [BASE, stored])
    lines = text.splitlines()
    assert lines[0] == 'config.py, CPU'
    assert lines[2] == ('1 seed: too few to claim that any two rows are equally accurate.')
    assert lines[4:8] == [
        '| row | policy | seed | epochs | first epoch (s) | middle (s) | last (s) | mean epoch (s) '
        '| total (s) | AR@10 | AP50 | AP | speed-up | peak memory of the process (MB) | FLOPs |',
        '|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
        '| base | NoFreezing | 0 | 6 | 2.00 | 2.00 | 2.00 | 2.00 | 12.0 | 0.500 | 0.700 | 0.400 '
        '| 1.00 | 600 | 1.000 |',
        '| afa+store | AdaptiveFreezing | 0 | 6 | 1.00 | 1.00 | 1.00 | 1.00 | 6.0 | 0.500 | 0.700 '
        '| 0.400 | 2.00 | - | 0.675 |']
    # 246 / (41 + 41 + 26 + 26 + 11 + 11) = 1.577; with 5 + 5 for the fillings 1.482
    assert lines[-1] == '| afa+store | 0 | 2.00 | 1.577 | 126.8% | 1.482 | 135.0% | 0.5 |'
    assert 'Mean' not in text


def test_three_seeds():
    """Each against base with the same seed: 12 / 8, 15 / 10, 9 / 7.5."""
    parts = []
    for seed, (base, lfa, ap50) in enumerate(((12., 8., .6), (15., 10., .7), (9., 7.5, .8))):
        parts += [figures('base', [base / 6] * 6, seed=seed, memory=int(6e8)),
                  figures('lfa', [lfa / 6] * 6, seed=seed, ap50=ap50)]
    text = protocol_report('title', parts)
    assert 'too few' not in text
    table = text.split('Mean ± standard deviation over 3 seeds:\n\n')[1].splitlines()
    assert table[2] == ('| base | 6 | 2.00 ± 0.50 | 2.00 ± 0.50 | 2.00 ± 0.50 | 2.00 ± 0.50 '
                        '| 12.0 ± 3.0 | 0.500 | 0.700 | 0.400 | 1.00 | 600 | 1.000 |')
    # The mean of 1.5, 1.5 and 1.2, which is not the ratio of the means.
    assert '| 8.5 ± 1.3 | 0.500 | 0.700 ± 0.100 | 0.400 | 1.40 ± 0.17 | - | 1.000 |' in table[3]
    rows = [line.split(' | ')[:3] for line in text.splitlines() if line.startswith('| lfa | No')]
    assert [row[2] for row in rows] == ['0', '1', '2'], 'every seed has its line'
    assert '2 seeds: too few' in protocol_report('title', parts[:4])


def test_different_devices_are_told():
    other = replace(BASE, row='lfa', device='CPU, 2 threads')
    assert 'different devices** (CPU, 1 threads; CPU, 2 threads)' in protocol_report(
        'title', [BASE, other])
    assert 'different devices' not in protocol_report('title', [BASE, replace(BASE, row='lfa')])


def test_rows_of_another_length_are_told():
    shorter = figures("base in afa's time", [2.] * 4)
    assert 'another length' in protocol_report('title', [BASE, shorter])
    assert 'another length' not in protocol_report('title', [BASE, replace(BASE, row='lfa')])


def test_rows_that_stored_nothing_are_named():
    def text(fills):
        parts = [replace(BASE, seed=1), BASE, figures('afa', [2.] * 6, frozen=[(8, 1)])]
        for row in ('afa+store', 'learndrop'):
            parts += [figures(row, [2.] * 6, frozen=[(8, 1)], fills=fill, seed=seed)
                      for seed, fill in enumerate(fills)]
        return protocol_report('title', parts)

    filled = [(8, 0, 1, 8)]
    assert ('\nStored nothing, so that frozen layers ran forward: afa+store (seed 1), '
            'learndrop (seed 1).\n') in text([filled, []])
    assert 'tored nothing' not in text([filled, filled])


def test_a_part_in_a_line():
    run = figures('lfa', [1.] * 6, frozen=[(8, 2)])
    assert part_line(run, None) == ('lfa, seed 0: 6 epochs, 6.0 s, 2 layers frozen at the end, '
                                    'AR@10 0.500, AP50 0.700')
    assert part_line(run, BASE).endswith(', speed-up 2.00')


# --------------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------------
def test_what_is_written(tmp_path):
    protocol, trainer, _ = fake_protocol(tmp_path)
    protocol.run(trainer, str)
    text = protocol.write_report('title')
    assert (protocol.out / 'protocol.md').read_text() == text
    written = json.loads((protocol.out / 'protocol.json').read_text())
    assert [(p['row'], p['seed']) for p in written['parts']] == [
        (row, seed) for row in ('base', 'afa', 'frozen', "base in afa's time") for seed in (0, 1)]
    assert written['parts'][2]['speed_up'] == pytest.approx(4 / 3)
    assert written['parts'][2]['seconds'] == [3.] * 6
    assert written['parts'][6]['speed_up'] == pytest.approx(6 / 4)
    assert written['costs']['images'] == COSTS.images
    assert (protocol.out / 'protocol.png').stat().st_size > 10_000


def test_the_picture_shows_every_row(tmp_path):
    from matplotlib.image import imread
    parts = [replace(BASE, row=f'row {i}', seed=seed, seconds=[2. + i] * (6 - seed))
             for i in range(len(COLOURS)) for seed in (0, 1)]
    plot_protocol(parts, tmp_path / 'x.png')
    picture = imread(tmp_path / 'x.png')[..., :3]
    for colour in COLOURS[1:]:  # black is the axes' too
        wanted = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        assert (abs(picture - wanted).max(-1) < .02).sum() > 100, colour

"""What policies did in the course of runs, and its picture."""
import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex

from mmfreeze.analysis.course import Interval, course_of
from mmfreeze.analysis.plots import freezing_figure
from mmfreeze.analysis.plots.style import FROZEN, TRAINED
from mmfreeze.analysis.runs import read_run
from mmfreeze.analysis.timeline import RunRecord

LAYERS = [['a'], ['b'], ['c']]
NORMS = [[.3, .2, .1], [None, .002, .1], [None, .3, .2]]
# At the ends of the epochs 1, 2 and 4, of ten iterations each.
DECISIONS = [
    dict(iteration=10, epoch=1, num_frozen=1, grad_norm=NORMS[0], bound='upper_limit'),
    dict(iteration=20, epoch=2, num_frozen=1, grad_norm=NORMS[1], bound='none'),
    dict(iteration=40, epoch=4, num_frozen=2, grad_norm=NORMS[2], bound='gradient')]
EPOCHS = [dict(epoch=epoch, num_frozen=n, train_seconds=1.)
          for epoch, n in enumerate((0, 1, 1, 1, 2), start=1)]


def record(decisions=DECISIONS, **more):
    return RunRecord('a', dict(type='AdaptiveFreezing'), LAYERS, decisions=decisions, **more)


def test_signals_belong_to_the_time_before_the_decision():
    course = course_of(record(epochs=EPOCHS))
    assert (course.unit, course.signal) == ('epochs', 'grad_norm')
    assert course.intervals == [Interval(0, 1, 0, NORMS[0]), Interval(1, 2, 1, NORMS[1]),
                                Interval(2, 4, 1, NORMS[2]), Interval(4, 5, 2, None)]
    assert [(move.time, move.num_frozen, move.reason) for move in course.moves] == [
        (1, 1, 'bound by the upper limit'), (2, 1, 'upper limit reached before'),
        (4, 2, 'bound by the gradient test')]


def test_decisions_within_an_epoch():
    decisions = [dict(iteration=15, epoch=1, num_frozen=1)]
    validations = [dict(iteration=50, epoch=5, metrics={})]
    course = course_of(record(decisions, epochs=EPOCHS, validations=validations))
    assert course.signal is None
    assert course.intervals == [Interval(0, 1.5, 0, None), Interval(1.5, 5, 1, None)]
    course = course_of(record(decisions, epochs=EPOCHS))  # the length of an epoch is not recorded
    assert course.intervals[0].end == 1


def test_an_iteration_loop_counts_in_iterations():
    course = course_of(record(validations=[dict(iteration=60, epoch=0, metrics={})]))
    assert course.unit == 'iterations' and course.intervals[-1] == Interval(40, 60, 2, None)


def test_frozen_from_the_start():
    course = course_of(record([dict(iteration=0, epoch=0, num_frozen=3)], epochs=EPOCHS))
    assert course.intervals == [Interval(0, 5, 3, None)]


def test_what_other_policies_say():
    decisions = [dict(iteration=10, epoch=1, num_frozen=0, weight_change=[.1] * 3, warmup=True),
                 dict(iteration=20, epoch=2, num_frozen=0, weight_change=[.1] * 3, trend=[1.] * 3),
                 dict(iteration=30, epoch=3, num_frozen=0, warning='nothing was finite'),
                 dict(iteration=40, epoch=4, num_frozen=1, bound='my own rule')]
    course = course_of(record(decisions, epochs=EPOCHS))
    assert course.signal == 'trend'
    assert [interval.signal for interval in course.intervals] == [None, [1.] * 3, None, None, None]
    assert [move.reason for move in course.moves] == [
        'warm-up', 'decision', 'nothing to decide by', 'my own rule']


def test_nothing_recorded_yet():
    with pytest.raises(ValueError, match='a has no finished epoch'):
        course_of(record([dict(iteration=0, epoch=0, num_frozen=3)]))


@pytest.fixture
def runs(make_run):
    epochs = dict(frozen=[0, 1, 1, 1, 2], seconds=[2.] * 5)
    return [read_run(make_run('base', frozen=[0] * 5, seconds=[2.] * 5)),
            read_run(make_run('lfa', 'LinearFreezing', **epochs,
                              decisions=[dict(iteration=10, epoch=1, num_frozen=2)])),
            read_run(make_run('afa', 'AdaptiveFreezing', **epochs, decisions=DECISIONS))]


def test_picture_of_frozen_and_trained_cells(runs):
    expected = [[[0], [0], [0]], [[0, 1], [0, 1], [0, 0]],
                [[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]]
    for axis, frozen in zip(freezing_figure(runs).axes, expected):
        cells = axis.collections[0]
        np.testing.assert_array_equal(cells.get_array(), frozen)
        assert [to_hex(cells.cmap(cells.norm(state))) for state in (0, 1)] == [TRAINED, FROZEN]


def test_colours_of_signals(runs):
    figure = freezing_figure(runs)
    seen = figure.axes[2].collections[1]
    np.testing.assert_equal(seen.get_array().filled(np.nan), [
        [.3, np.nan, np.nan, np.nan], [.2, .002, .3, np.nan], [.1, .1, .2, np.nan]])
    assert isinstance(seen.norm, LogNorm) and (seen.norm.vmin, seen.norm.vmax) == (.002, .3)
    assert figure.axes[-1].get_ylabel() == 'gradient norm'
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[2:] == ['decision', 'bound by the upper limit', 'upper limit reached before',
                         'bound by the gradient test']


def test_scale_of_signals(make_run):
    def norm(*values):
        decisions = [dict(iteration=10, epoch=1, num_frozen=0, grad_norm=list(values))]
        run = read_run(make_run(f'{values}', 'AdaptiveFreezing', frozen=[0], seconds=[1.],
                                decisions=decisions))
        return freezing_figure([run]).axes[0].collections[1].norm
    assert not isinstance(norm(.1, .2, .29), LogNorm) and not isinstance(norm(0., 0., 0.), LogNorm)
    decades = norm(0., .01, .3)
    assert isinstance(decades, LogNorm) and decades.vmin == .01 and decades(0.) == 0

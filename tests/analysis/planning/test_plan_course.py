"""Courses reckoned from made-up measurements, in numbers that can be followed by hand."""
from dataclasses import replace

import pytest

from mmfreeze.analysis.planning import Length, Measured, MeasuredStore, course_of, length_of
from mmfreeze.engine.store_costs import StoreCosts
from mmfreeze.freezing.cost import LayerCosts
from mmfreeze.freezing.saving import predicted_saving

LAYERS = LayerCosts(forward=[5, 3, 2], backward=[10, 6, 4], rest_forward=4, rest_backward=7)
STORE = MeasuredStore(StoreCosts(load=.25, forward=[.01, .02, .03], write=.125, read=.0625,
                                 views=2),
                      load_bare=.0625, setup=3., move=.5, nbytes=1000, room=5000)
MEASURED = Measured(
    counts=[0, 3], seconds=[2., 1.], memory=[200, 100], layers=LAYERS, forward=[.01, .02, .03],
    batch_size=8, load=.25, workers=0, first=.5, uncertainty=.02, store=STORE)
# Two iterations a pass, the second of which has 2 of 8 images.
LENGTH = Length(max_iters=8, iterations=2, samples=10)
SECONDS = {0: 4., 1: 3.5, 2: 3.2, 3: 3.}


def test_an_iteration_follows_the_flops_between_what_was_measured():
    assert [MEASURED.iteration(n) for n in range(4)] == pytest.approx([*SECONDS.values()])
    assert [MEASURED.peak(n) for n in range(4)] == pytest.approx([200, 150, 120, 100])


def test_workers_load_meanwhile_unless_they_are_too_slow():
    assert replace(MEASURED, workers=2).iteration(0) == 2
    assert replace(MEASURED, workers=1, load=.3).iteration(0) == pytest.approx(8 * .3)


def test_an_iteration_from_stored_features():
    """Two layers do not run, features are read, and images are loaded without their pixels."""
    read = 8 * (.0625 - .03)
    assert MEASURED.iteration(2, stored=2) == pytest.approx(1.2 + read + 8 * .0625)
    whole = replace(MEASURED, store=replace(STORE, load_bare=None))
    assert whole.iteration(2, stored=2) == pytest.approx(1.2 + read + 8 * .25)


def test_filling_pays_for_loading_as_iterations_do():
    assert MEASURED.filling(2) == pytest.approx(.25 + .01 + .02 + .125)
    assert replace(MEASURED, workers=2).filling(2) == pytest.approx(.01 + .02 + .125)
    assert replace(MEASURED, workers=1).filling(2) == pytest.approx(.25)


def test_a_partly_filled_batch_counts_as_what_it_is():
    course = course_of(MEASURED, LENGTH, [0, 1, 1, 3])
    assert course.seconds == pytest.approx(
        [10 / 8 * SECONDS[n] + first for n, first in ((0, .5), (1, 0), (1, 0), (3, 0))])
    assert course.frozen == [0, 1, 1, 3] and course.stored == [0] * 4
    assert course.memory == (200, 100) and course.fill_seconds == 0
    assert course.flops == 10 * (41 + 31 + 31 + 21)


def test_layers_that_freeze_within_a_pass():
    course = course_of(MEASURED, LENGTH, [0, 0, 0, 1, 1, 3, 3, 3])
    assert course.frozen == [0, 1, 3, 3]
    assert course.seconds == pytest.approx([5.5, *(
        10 / 16 * (SECONDS[a] + SECONDS[b]) for a, b in ((0, 1), (1, 3), (3, 3)))])


def test_filling_and_moving_a_store():
    """Of two views every second is new in the second pass, and so on; see the numbers."""
    course = course_of(MEASURED, LENGTH, [0, 1, 1, 2], 'always')
    fills = [0,
             .5 + 10 * (.25 + .01 + .125),  # tried out; all ten samples from their images
             5 * (.25 + .01 + .125),  # every second view was there
             # In three passes two views: 1.5 of each sample are there, a half of which comes again.
             .5 + 7.5 * (.0625 + .02 + .125) + 2.5 * (.25 + .03 + .125)]
    iterations = [SECONDS[0], *(MEASURED.iteration(n, stored=n) for n in (1, 1, 2))]
    assert course.fill_seconds == pytest.approx(sum(fills))
    assert course.seconds == pytest.approx([10 / 8 * a + b + c for a, b, c in zip(
        iterations, fills, (.5 + .5, 0, 0, 0))])  # one boundary is tried out at the start
    # While the store moves there are two.
    assert course.stored == [0, 1, 1, 2] and course.memory == (120 + 2000, 1120)
    flops = 10 * (41 + 2 * (31 - 5) + 25 - 8) + (10 + 5) * 5 + 7.5 * 3 + 2.5 * 8
    assert course.flops == pytest.approx(flops)


def test_moving_twice_within_a_pass():
    """What the running pass shows is there, and shown again; of the other view that is open."""
    course = course_of(MEASURED, LENGTH, [0, 0, 1, 1, 1, 2, 3, 3], 'always')
    moved = [.0625 + forward + .125 for forward in (.02, .03)]
    fills = [0, .5 + 10 * (.25 + .01 + .125),
             5 * (.25 + .01 + .125)
             # Another pass showed the other view of a half, the last one will of a half of these.
             + .5 + 10 * (1 + .5 * .5) * moved[0],
             # Two passes showed three quarters of the views, the last one shows a half of these.
             .5 + 15 * .5 * moved[1] + 2.5 * (.25 + .06 + .125)]
    assert course.fill_seconds == pytest.approx(sum(fills))
    twice = course_of(MEASURED, LENGTH, [0, 0, 1, 1, 1, 1, 2, 3], 'always')
    assert twice.fill_seconds == pytest.approx(
        sum(fills[:2]) + 5 * (.25 + .01 + .125)
        + .5 + 15 * .5 * moved[0] + 2.5 * (.25 + .03 + .125) + .5 + 10 * moved[1])


@pytest.mark.parametrize('store, memory, anew', [
    (dict(on_disk=True), (200, 120), False), (dict(room=1999), (1150, 1120), True)])
def test_a_store_on_the_disk_and_one_without_room_for_two(store, memory, anew):
    """Without room for both the old generation goes first, so that all comes from the images."""
    course = course_of(replace(MEASURED, store=replace(STORE, **store)), LENGTH, [0, 1, 1, 2],
                       'always')
    both = course_of(MEASURED, LENGTH, [0, 1, 1, 2], 'always')
    assert course.memory == memory
    moved = 7.5 * (.0625 + .02 + .125) + 2.5 * (.25 + .03 + .125)
    assert course.fill_seconds - both.fill_seconds == pytest.approx(
        10 * (.25 + .03 + .125) - moved if anew else 0)


def test_free_filling_is_the_prediction_by_flops():
    base = course_of(MEASURED, LENGTH, [0] * 4)
    course = course_of(MEASURED, LENGTH, [0, 1, 1, 2], 'always', free_fill=True)
    assert 1 - course.flops / base.flops == pytest.approx(
        predicted_saving(LAYERS, [0, 1, 1, 2], stored=True))
    assert course.fill_seconds == 0


@pytest.mark.parametrize('write, stored', [(.03125, [0, 1, 1, 1]), (9., [0] * 4)])
def test_auto_stores_where_it_pays(write, stored):
    """Three passes left: it pays with cheap writing; one left: computing a layer is cheaper."""
    costs = replace(STORE.costs, write=write)
    measured = replace(MEASURED, store=replace(STORE, costs=costs))
    course = course_of(measured, LENGTH, [0, 1, 1, 2], 'auto')
    assert course.stored == stored
    plain = course_of(MEASURED, LENGTH, [0, 1, 1, 2])
    if not any(stored):
        assert course.total == pytest.approx(plain.total + STORE.setup)
        assert course.memory == plain.memory


@pytest.mark.parametrize('train_cfg, expected', [
    (dict(max_epochs=3), Length(6, 2, 10)),
    (dict(max_iters=5), Length(5, 2, 10, by_epoch=False))])
def test_length(train_cfg, expected):
    cfg = type('Config', (), dict(train_cfg=train_cfg))
    assert length_of(cfg, 10, 2, 8) == expected
    assert expected.passes == 3 and expected.unit == (2 if expected.by_epoch else 1)
    assert length_of(cfg, 15, 1, 8).samples == 8  # the rest was dropped
    assert length_of(cfg, None, None, 8).samples == 8000


def test_an_endless_config():
    with pytest.raises(ValueError, match='neither max_epochs nor max_iters'):
        length_of(type('Config', (), dict(train_cfg={})), 10, 2, 8)

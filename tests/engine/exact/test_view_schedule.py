"""Views are drawn as by a die, and the same whenever they are asked for."""
import pytest

from mmfreeze.engine.exact.view_schedule import ViewSchedule


def test_each_view_comes_as_often_as_the_others():
    views = ViewSchedule(4).views(seed=0, number=0, samples=range(20000))
    shares = [views.count(view) / len(views) for view in range(4)]
    # Four standard deviations of a share of 20,000 throws: 4 * sqrt(3 / 16 / 20000).
    assert shares == pytest.approx([.25] * 4, abs=.0123)


def test_passes_and_seeds_are_independent():
    schedule = ViewSchedule(4)
    first = schedule.views(0, 0, range(20000))
    for other in (schedule.views(0, 1, range(20000)), schedule.views(1, 0, range(20000))):
        assert sum(a == b for a, b in zip(first, other)) / 20000 == pytest.approx(.25, abs=.0123)


def test_a_draw_depends_on_nothing_but_seed_pass_and_sample():
    schedule = ViewSchedule(3)
    whole = schedule.views(7, 2, range(50))
    assert schedule.views(7, 2, [30, 4, 30]) == [whole[30], whole[4], whole[30]]
    assert ViewSchedule(3).views(7, 2, range(50)) == whole


def test_neighbours_in_one_pass_are_independent():
    views = ViewSchedule(2).views(0, 0, range(20000))
    same = sum(a == b for a, b in zip(views, views[1:])) / 19999
    assert same == pytest.approx(.5, abs=.0142)


def test_a_single_view_is_always_shown():
    assert ViewSchedule(1).views(3, 9, range(5)) == [0] * 5


def test_without_views_none_is_asked_for():
    assert ViewSchedule(0).views(3, 9, range(2)) == [None, None]

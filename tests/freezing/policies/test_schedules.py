"""Schedule policies as tables of numbers."""
import pytest

from mmfreeze.freezing import (Clock, GeometricFreezing, LinearFreezing, NoFreezing,
                               StaticFreezing)

UNIT = 10


def trajectory(policy, num_layers, epochs, unit=UNIT):
    """n in each epoch of an epoch loop, asked as the hook asks."""
    policy.setup(num_layers)
    n = []
    for epoch in range(epochs):
        clock = Clock(epoch * unit, epochs * unit, unit)
        if policy.due(clock):
            assert policy.decide(clock, {}).num_frozen == policy.num_frozen
        n.append(policy.num_frozen)
    return n


@pytest.mark.parametrize('epochs', [6, 12, 24, 26, 36, 65])
def test_lfa_is_the_formula(epochs):
    assert trajectory(LinearFreezing(), 12, epochs) == [13 * e // epochs for e in range(epochs)]


def test_lfa_reproduces_the_published_trajectory():
    n = trajectory(LinearFreezing(), 12, 65)
    assert (n[0], n[30], n[60]) == (0, 6, 12)
    assert sum(n) / 65 == pytest.approx(6.0)
    assert [n.index(k) + 1 for k in range(1, 13)] == [5 * k + 1 for k in range(1, 13)]


def test_lfa_in_an_iteration_loop_changes_at_every_step():
    policy = LinearFreezing()
    n = trajectory(policy, 3, 20, unit=1)
    assert n == [4 * it // 20 for it in range(20)]


def test_lfa_period_and_start():
    assert trajectory(LinearFreezing(period=2), 4, 12) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert trajectory(LinearFreezing(period=2, start=3), 4, 12) == [0] * 5 + [1, 1, 2, 2, 3, 3, 4]
    assert trajectory(LinearFreezing(period=1, max_frozen=2), 4, 5) == [0, 1, 2, 2, 2]


def test_lfa_composer_schedule():
    # Composer: freeze_level * (progress - start) / (1 - start) of the layers, rounded down.
    n = trajectory(LinearFreezing(freeze_start=.5, freeze_level=.8), 10, 10)
    assert n == [0, 0, 0, 0, 0, 0, 1, 3, 4, 6]


def test_geometric_limits_at_twelve_layers():
    n = trajectory(GeometricFreezing(), 12, 65)
    assert [n[5 * t] for t in range(1, 13)] == [3, 5, 6, 8, 9, 9, 10, 10, 11, 11, 11, 12]
    assert (n[0], n[30], n[60]) == (0, 9, 12)
    assert sum(n) / 65 == pytest.approx(8.08, abs=.005)


def test_geometric_at_few_layers_and_whole_numbers():
    assert max(trajectory(GeometricFreezing(), 4, 50)) == 3
    assert trajectory(GeometricFreezing(alpha=.5, interval=1), 8, 5) == [0, 4, 6, 7, 8]
    policy = GeometricFreezing(alpha=.5, interval=2, max_frozen=5)
    assert trajectory(policy, 8, 5) == [0, 0, 4, 4, 5]


def test_static_and_none():
    assert trajectory(StaticFreezing(3), 12, 4) == [3] * 4
    assert trajectory(NoFreezing(), 12, 4) == [0] * 4


def test_state_round_trip():
    policy = LinearFreezing()
    trajectory(policy, 12, 65)
    other = LinearFreezing()
    other.setup(12)
    other.load_state_dict(policy.state_dict())
    assert other.num_frozen == 12
    assert not other.due(Clock(640, 650, 10))


@pytest.mark.parametrize('build, name', [
    (lambda: LinearFreezing(period=0), 'period'),
    (lambda: LinearFreezing(start=2), 'period'),
    (lambda: LinearFreezing(freeze_start=.5), 'freeze_level'),
    (lambda: LinearFreezing(freeze_level=.5), 'freeze_start'),
    (lambda: LinearFreezing(period=2, freeze_start=.1, freeze_level=1.), 'period'),
    (lambda: LinearFreezing(freeze_start=1., freeze_level=1.), 'freeze_start'),
    (lambda: LinearFreezing(freeze_start=.5, freeze_level=1.5), 'freeze_level'),
    (lambda: LinearFreezing(max_frozen=-1), 'max_frozen'),
    (lambda: LinearFreezing(max_frozen=13).setup(12), 'max_frozen'),
    (lambda: StaticFreezing(-1), 'num_frozen'),
    (lambda: StaticFreezing(2.5), 'num_frozen'),
    (lambda: StaticFreezing(13).setup(12), 'num_frozen=13'),
    (lambda: GeometricFreezing(alpha=0), 'alpha'),
    (lambda: GeometricFreezing(alpha=1.1), 'alpha'),
    (lambda: GeometricFreezing(interval=0), 'interval'),
    (lambda: GeometricFreezing(interval=True), 'interval'),
])
def test_wrong_settings_are_named(build, name):
    with pytest.raises(ValueError, match=name):
        build()

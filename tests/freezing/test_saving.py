"""Savings against published figures, brute force, and passes that are really left out."""
import math

import pytest
import torch
from torch import nn

from mmfreeze.freezing import (AdaptiveFreezing, Clock, GeometricFreezing, LayerStack,
                               LearnAndDrop, LinearFreezing, NoFreezing, SchedulePolicy,
                               StaticFreezing)
from mmfreeze.freezing.cost import LayerCosts, count_flops, layer_costs
from mmfreeze.freezing.saving import (average_forward_reduction,
                                      freezeout_saving_backward_as_forward,
                                      freezeout_saving_backward_twice_forward, iteration_flops,
                                      predicted_saving, predicted_trajectory,
                                      terminal_forward_reduction)

COSTS = LayerCosts(forward=[5, 3, 2], backward=[10, 6, 4], rest_forward=4, rest_backward=7)


def test_an_iteration():
    assert [iteration_flops(COSTS, n) for n in range(4)] == [41, 31, 25, 21]
    assert [iteration_flops(COSTS, n, stored=True) for n in range(4)] == [41, 26, 17, 11]


@pytest.mark.parametrize('frozen', range(4))
def test_an_iteration_from_stored_features(frozen):
    """What is left of a chain whose first layers do not run costs what is predicted."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.Conv2d(6, 5, 3))
    head = nn.Linear(5, 2)
    model = nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    image = torch.zeros(2, 3, 9, 9)
    costs = layer_costs(LayerStack.build(model, ['0.*']), model, lambda: model(image).sum())
    with torch.no_grad():
        features = layers[:frozen](image)
    with count_flops() as counter:
        model[1:](layers[frozen:](features)).sum().backward()
    assert counter.get_total_flops() == iteration_flops(costs, frozen, stored=True)


def test_forward_reduction():
    # 14 in full; 9 without the first layer, 6 without two.
    assert terminal_forward_reduction(COSTS, 0) == 0
    assert terminal_forward_reduction(COSTS, 2) == pytest.approx(8 / 14)
    trajectory = [0, 0, 1, 1, 2, 2]
    assert average_forward_reduction(COSTS, trajectory) == pytest.approx(26 / 84)
    # The first filling runs the first layer over the images, the second the second over features.
    assert average_forward_reduction(COSTS, trajectory, fills=[(0, 1), (1, 2)]) == pytest.approx(
        (26 - 5 - 3) / 84)


def test_reduction_by_iterations_is_that_by_epochs():
    fills = [(0, 1), (1, 2)]
    by_iteration = [n for n in (0, 0, 1, 1, 2, 2) for _ in range(7)]
    assert average_forward_reduction(COSTS, by_iteration, fills, unit=7) == pytest.approx(
        average_forward_reduction(COSTS, (0, 0, 1, 1, 2, 2), fills))


def test_a_store_that_is_filled_in_vain_costs_more_than_it_saves():
    assert average_forward_reduction(COSTS, [0, 0], fills=[(0, 3)]) == pytest.approx(-10 / 28)


def test_saving_of_a_run():
    assert predicted_saving(COSTS, [0, 1, 3]) == pytest.approx(1 - (41 + 31 + 21) / 123)
    assert predicted_saving(COSTS, [0, 1, 3], stored=True, fills=[(0, 1), (1, 3)]) == pytest.approx(
        1 - (41 + 26 + 11 + 5 + 5) / 123)


# --------------------------------------------------------------------------------------------------
# FreezeOut
# --------------------------------------------------------------------------------------------------
def ends_of(how, t_0, layers):
    return [(t_0 + (1 - t_0) * i / layers)**dict(linear=1, squared=2, cubic=3)[how]
            for i in range(layers)]


@pytest.mark.parametrize('how', ['linear', 'squared', 'cubic'])
@pytest.mark.parametrize('t_0', [.3, .5, .8])
def test_freezeouts_two_estimates(how, t_0):
    forward = [90, 10, 35, 70, 5, 41, 13, 8]
    ends = [*ends_of(how, t_0, 7), 1.]
    theirs = freezeout_saving_backward_as_forward(ends, forward)
    ours = freezeout_saving_backward_twice_forward(ends, forward)
    assert ours == pytest.approx(4 / 3 * theirs, rel=1e-12)
    for ratio, estimate in ((1, theirs), (2, ours)):
        iterations = 2000
        spent = sum(cost * (1 + (ratio if it / iterations < end else 0))
                    for it in range(iterations) for end, cost in zip(ends, forward))
        full = (1 + ratio) * iterations * sum(forward)
        assert 1 - spent / full == pytest.approx(estimate, abs=1 / iterations)


def test_the_estimate_printed_for_densenet():
    """DenseNet-BC, k = 12, L = 76, cubic .8: 17.8 % in the paper's table."""
    growth, channels, size, waiting = 12, 24, 32, 3 * 9 * 24 * 32 * 32
    forward = []
    for _ in range(3):
        for _ in range(12):  # 1 x 1 to four times the growth, then 3 x 3
            forward.append(waiting + (channels + 9 * growth) * 4 * growth * size**2)
            channels, waiting = channels + growth, 0
        # A transition belongs to the layer behind it, as the first convolution does.
        waiting = channels * channels // 2 * size**2
        channels, size = channels // 2, size // 2
    estimate = freezeout_saving_backward_as_forward(ends_of('cubic', .8, 36), forward)
    assert round(100 * estimate, 1) == 17.8


def test_one_end_for_each_cost():
    for estimate in (freezeout_saving_backward_as_forward, freezeout_saving_backward_twice_forward):
        with pytest.raises(ValueError):
            estimate([.5, 1.], [3])


# --------------------------------------------------------------------------------------------------
# Trajectories
# --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('policy, mean', [
    (LinearFreezing(), 6.0), (GeometricFreezing(), 8.08), (StaticFreezing(4), 4), (NoFreezing(), 0)
])
def test_means_over_the_published_run(policy, mean):
    trajectory = predicted_trajectory(policy, 12, 65 * 10, unit=10)
    assert len(trajectory) == 65
    assert sum(trajectory) / 65 == pytest.approx(mean, abs=.005)
    assert policy.num_frozen == policy.num_layers == 0


def test_an_iteration_loop():
    assert predicted_trajectory(LinearFreezing(), 3, 20) == [4 * it // 20 for it in range(20)]


class InsideEpochs(SchedulePolicy):
    every_iteration = True

    def target(self, clock: Clock) -> int:
        return clock.iteration // 4


def test_a_policy_that_decides_at_every_iteration():
    assert predicted_trajectory(InsideEpochs(), 5, 12, unit=6) == [0] * 4 + [1] * 4 + [2] * 4


def replay(policy, signals, layers, epochs, unit=10):
    """n in each epoch, where a function of the epoch gives what the policy looks at."""
    wanted, = policy.wants
    policy.setup(layers)
    trajectory = []
    for epoch in range(epochs):
        clock = Clock(epoch * unit, epochs * unit, unit)
        if policy.due(clock):
            policy.decide(clock, {wanted: signals(epoch)})
        trajectory.append(policy.num_frozen)
    return trajectory


@pytest.mark.parametrize('settings', [
    {}, dict(max_frozen=2), dict(interval=2), dict(alpha=.6), dict(test='ratio'),
    dict(test='constant', tau=.5)], ids=str)
@pytest.mark.parametrize('layers, epochs', [(12, 65), (12, 6), (4, 24), (1, 3)])
def test_adaptive_freezing_stays_between_its_bounds(settings, layers, epochs):
    settings = {**settings, 'max_frozen': min(layers, settings.get('max_frozen', layers))}
    slowest, fastest = (predicted_trajectory(policy, layers, epochs * 10, unit=10)
                        for policy in AdaptiveFreezing(**settings).bounds())
    tables = [lambda _: [float(i) for i in range(layers)],
              lambda _: [1. / (1 + i) for i in range(layers)],
              *[lambda _: torch.rand(layers).tolist()] * 10]
    courses = [replay(AdaptiveFreezing(**settings), table, layers, epochs) for table in tables]
    for course in courses:
        assert all(low <= n <= high for low, n, high in zip(slowest, course, fastest))
    if 'test' not in settings:  # both bounds are reached
        assert courses[0] == slowest and courses[1] == fastest


def test_the_bounds_of_the_published_run_are_lfa_and_the_limit_alone():
    bounds = [predicted_trajectory(policy, 12, 650, 10) for policy in AdaptiveFreezing().bounds()]
    assert bounds == [[13 * e // 65 for e in range(65)],
                      [math.ceil(12 * (1 - .8**(e // 5)) - 1e-9) for e in range(65)]]


@pytest.mark.parametrize('settings', [
    {}, dict(tau=.9, patience=1), dict(interval=3), dict(warmup=4), dict(max_frozen=2),
    dict(tau=0)], ids=str)
def test_learn_and_drop_stays_between_nothing_and_no_change(settings):
    slowest, fastest = LearnAndDrop(**settings).bounds()
    assert isinstance(slowest, NoFreezing)
    course = predicted_trajectory(fastest, 5, 200, unit=10)
    assert course == replay(LearnAndDrop(**settings), lambda _: [0.] * 5, 5, 20)
    for _ in range(10):
        changes = replay(LearnAndDrop(**settings), lambda e: (torch.rand(5) / 2**e).tolist(), 5, 20)
        assert all(n <= most for n, most in zip(changes, course))


def test_what_only_training_shows():
    with pytest.raises(ValueError, match='AdaptiveFreezing decides by grad_norm.*bounds'):
        predicted_trajectory(AdaptiveFreezing(), 12, 650, 10)

    class Adaptive(SchedulePolicy):
        wants = dict(weight_change={})

        def target(self, clock):
            return 0

    with pytest.raises(ValueError, match='Adaptive decides by weight_change.*cannot be predicted'):
        Adaptive().bounds()


def test_a_policy_without_signals_is_its_own_bounds():
    policy = LinearFreezing(period=3)
    assert policy.bounds() == (policy, policy)

"""FreezeOut as tables of numbers, against the formula in rational numbers."""
import itertools
import math
from fractions import Fraction

import pytest

from mmfreeze.freezing import Clock, FreezeOut

SHAPES = dict(linear=lambda x: x, squared=lambda x: x * x, cubic=lambda x: x * x * x)
RUNS = list(itertools.product(
    SHAPES, [(1, 20), (3, 10), (4, 5), (1, 1)], [1, 3, 12],
    [(10, 0), (97, 30), (1000, 0)]))  # iterations, and those of the warm-up


def ends(how, t_0, num_layers):
    """t_i of the layers and of what is behind them."""
    return [SHAPES[how](t_0 + (1 - t_0) * Fraction(i, num_layers)) for i in range(num_layers + 1)]


def progress(iteration, max_iters, warmup):
    return max(Fraction(0), Fraction(iteration - warmup, max_iters - warmup))


def build(num_layers, **settings):
    policy = FreezeOut(**settings)
    policy.setup(num_layers)
    return policy


@pytest.mark.parametrize('how, t_0, num_layers, run', RUNS)
def test_each_layer_freezes_at_the_first_iteration_of_the_formula(how, t_0, num_layers, run):
    max_iters, warmup = run
    t = ends(how, Fraction(*t_0), num_layers)[:-1]
    policy = build(num_layers, how=how, t_0=t_0[0] / t_0[1], warmup=warmup)
    for iteration in range(max_iters):
        s = progress(iteration, max_iters, warmup)
        frozen = [layer for layer in range(num_layers) if s >= t[layer]]
        assert frozen == list(range(len(frozen)))
        clock = Clock(iteration, max_iters, 7)
        assert policy.due(clock) == (len(frozen) > policy.num_frozen)
        if policy.due(clock):
            policy.decide(clock, {})
        assert policy.num_frozen == len(frozen)


@pytest.mark.parametrize('scaled', [False, True])
@pytest.mark.parametrize('how, t_0, num_layers, run', RUNS)
def test_learning_rates_are_the_formula(how, t_0, num_layers, run, scaled):
    max_iters, warmup = run
    t = ends(how, Fraction(*t_0), num_layers)
    policy = build(num_layers, how=how, t_0=t_0[0] / t_0[1], warmup=warmup, scaled=scaled)
    for iteration in range(0, max_iters + 1, 1 + max_iters // 50):
        s = float(progress(iteration, max_iters, warmup))
        expected = [0. if s >= t_i else (1 + math.cos(math.pi * s / t_i)) / 2
                    / (t_i if scaled else 1) for t_i in map(float, t)]
        assert policy.lr_factors(Clock(iteration, max_iters)) == pytest.approx(
            expected, rel=0, abs=1e-12)


def test_a_layer_that_has_frozen_has_no_learning_rate():
    """512 of 1000 iterations: in floating point, .8 ** 3 * 1000 lies behind it."""
    assert math.ceil(.8 ** 3 * 1000) == 513
    policy = build(12)
    assert policy.target(Clock(511, 1000)) == 0
    assert policy.lr_factors(Clock(511, 1000))[0] > 0
    assert policy.target(Clock(512, 1000)) == 1
    assert policy.lr_factors(Clock(512, 1000))[0] == 0


def test_ends_of_the_layers():
    assert build(4).layer_ends() == pytest.approx([.8**3, .85**3, .9**3, .95**3])
    assert build(2, how='squared', t_0=.5).layer_ends() == [.25, .5625]
    assert build(2, how='linear', t_0=.5).layer_ends() == [.5, .75]


def test_scaled_layers_travel_the_same_distance():
    policy = build(3, scaled=True, t_0=.5)
    rates = [policy.lr_factors(Clock(i, 10_000)) for i in range(10_000)]
    assert [sum(column) / 10_000 for column in zip(*rates)] == pytest.approx([.5] * 4, abs=1e-3)


def test_nothing_is_annealed_in_the_warm_up():
    policy = build(3, warmup=20)
    assert all(policy.lr_factors(Clock(i, 100)) == [1.] * 4 for i in range(21))
    assert policy.lr_factors(Clock(21, 100))[-1] < 1


def test_behind_the_end_of_the_run_everything_stands_still():
    policy = build(3)
    assert policy.lr_factors(Clock(120, 100)) == [0.] * 4
    assert policy.target(Clock(120, 100)) == 3


@pytest.mark.parametrize('settings, words', [
    (dict(how='quartic'), "how must be one of linear, squared, cubic, but is 'quartic'"),
    (dict(t_0=0), r't_0 .*\(0, 1\], but is 0'),
    (dict(t_0=1.01), r't_0 .*1.01'),
    (dict(t_0=-.5), r't_0 .*-0.5'),
    (dict(t_0=float('nan')), r't_0 .*nan'),
    (dict(t_0='.8'), r"t_0 .*'.8'"),
    (dict(scaled='no'), "scaled must be True or False, but is 'no'"),
    (dict(warmup=-1), 'warmup must be an integer of at least 0, but is -1'),
    (dict(warmup=.1), 'warmup .*0.1'),
])
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words) as error:
        FreezeOut(**settings)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('warmup', [100, 150])
def test_a_warm_up_as_long_as_the_run_is_refused(warmup):
    policy = build(3, warmup=warmup)
    for ask in (policy.target, policy.lr_factors):
        with pytest.raises(ValueError, match=f'warmup={warmup} .*100 iterations'):
            ask(Clock(0, 100))

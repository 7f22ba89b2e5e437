"""AFA against an independent replay of its definition over tables of norms."""
import math
import random

import pytest

from mmfreeze.freezing import AdaptiveFreezing, Clock, LinearFreezing

L = 12


def run(policy, tables, epochs=65, num_layers=L):
    """n after each decision, with one row of ``tables`` for each."""
    policy.setup(num_layers)
    rows, n = iter(tables), []
    for epoch in range(epochs):
        clock = Clock(epoch * 7, epochs * 7, 7)
        if policy.due(clock):
            row = next(rows)
            seen = row and [None] * policy.num_frozen + row[policy.num_frozen:]
            n.append(policy.decide(clock, dict(grad_norm=seen)).num_frozen)
    return n


def limits(num_layers=L, alpha=.2):
    return [min(num_layers, math.ceil(num_layers * (1 - (1 - alpha) ** t) - 1e-9))
            for t in range(1, num_layers + 1)]


def replay_magnitude(tables):
    n, out = 0, []
    for limit, g in zip(limits(), tables):
        if limit > n:
            smallest = min(g[n:limit])
            n = max(n, min(limit, n + g[n:limit].index(smallest) + 1))
        out.append(n)
    return out


def replay_ratio(tables, percentile=50):
    n, out, before = 0, [], None
    for limit, g in zip(limits(), tables):
        if limit > n and before is not None:
            eta = [abs(b - a) / b for b, a in zip(before[n:], g[n:])]
            rank = (len(eta) - 1) * percentile / 100
            low, high = sorted(eta)[math.floor(rank)], sorted(eta)[math.ceil(rank)]
            threshold = low + (high - low) * (rank - math.floor(rank))
            candidate = n + [e >= threshold for e in eta].index(True)
            n = max(n, min(limit, candidate))
        before = g
        out.append(n)
    return out


def replay_constant(tables, tau):
    n, out = 0, []
    for limit, g in zip(limits(), tables):
        if limit > n:
            above = [layer for layer in range(n, L) if g[layer] >= tau]
            n = max(n, min(limit, above[0] if above else L))
        out.append(n)
    return out


def tables_of(kind):
    rng = random.Random(7)
    rows = {
        'rising': lambda: [1. + i for i in range(L)],
        'falling': lambda: [20. - i for i in range(L)],
        'equal': lambda: [3.] * L,
        'random': lambda: [rng.uniform(.01, 1) for _ in range(L)],
    }[kind]
    return [[rows()[i] / (1 + .1 * t * (i % 3)) for i in range(L)] if kind != 'equal' else rows()
            for t in range(L)]


KINDS = ['rising', 'falling', 'equal', 'random']


@pytest.mark.parametrize('kind', KINDS)
def test_magnitude(kind):
    assert run(AdaptiveFreezing(), tables_of(kind)) == replay_magnitude(tables_of(kind))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('percentile', [50, 20])
def test_ratio(kind, percentile):
    policy = AdaptiveFreezing(test='ratio', percentile=percentile)
    assert run(policy, tables_of(kind)) == replay_ratio(tables_of(kind), percentile)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('tau', [0, .3, 4., 100.])
def test_constant(kind, tau):
    policy = AdaptiveFreezing(test='constant', tau=tau)
    assert run(policy, tables_of(kind)) == replay_constant(tables_of(kind), tau)


def test_norms_that_rise_give_lfas_pace_and_norms_that_fall_the_limits():
    rising = [[float(i) for i in range(L)]] * L
    falling = [[float(L - i) for i in range(L)]] * L
    linear = LinearFreezing()
    linear.setup(L)
    pace = [linear.decide(Clock(5 * t, 65), {}).num_frozen for t in range(1, 13)]
    assert run(AdaptiveFreezing(), rising) == pace
    assert run(AdaptiveFreezing(), falling) == limits()


def test_intervals_without_a_decision_count():
    rows = [[1.] * L for _ in range(L)]
    rows[0] = None
    policy = AdaptiveFreezing(test='constant', tau=2.)
    n = run(policy, rows)
    assert n == [0] + limits()[1:]
    # Six epochs hold thirteen intervals: more than one elapses between two decisions.
    short = AdaptiveFreezing(test='constant', tau=2.)
    assert run(short, [[1.] * L] * 5, epochs=6) == [limits()[13 * e // 6 - 1] for e in range(1, 6)]


def test_details_say_what_bound():
    policy = AdaptiveFreezing()
    policy.setup(L)
    first = policy.decide(Clock(5, 65), dict(grad_norm=[1.] * L)).details
    assert (first['upper_limit'], first['candidate'], first['bound']) == (3, 1, 'gradient')
    falling = [float(L - i) for i in range(L)]
    second = policy.decide(Clock(10, 65), dict(grad_norm=falling)).details
    assert (second['upper_limit'], second['candidate'], second['bound']) == (5, 5, 'upper_limit')
    third = policy.decide(Clock(15, 65), dict(grad_norm=None))
    assert 'finite' in third.details['warning'] and third.num_frozen == 5


def test_resumed_policy_goes_on_alike():
    tables = tables_of('random')
    for settings in (dict(), dict(test='ratio'), dict(test='constant', tau=.3)):
        expected = run(AdaptiveFreezing(**settings), tables)
        first, second = AdaptiveFreezing(**settings), AdaptiveFreezing(**settings)
        first.setup(L)
        second.setup(L)
        n = []
        for t, row in enumerate(tables, 1):
            policy = first if t <= 5 else second
            if t == 6:
                second.load_state_dict(first.state_dict())
            seen = [None] * policy.num_frozen + row[policy.num_frozen:]
            n.append(policy.decide(Clock(5 * t, 65), dict(grad_norm=seen)).num_frozen)
        assert n == expected


@pytest.mark.parametrize('settings, name', [
    (dict(test='ratios'), 'test'),
    (dict(percentile=20), 'percentile'),
    (dict(test='ratio', percentile=101), 'percentile'),
    (dict(test='constant'), 'tau'),
    (dict(tau=1.), 'tau'),
    (dict(test='constant', tau=-1.), 'tau'),
    (dict(test='constant', tau=float('nan')), 'tau'),
    (dict(accumulate='max'), 'accumulate'),
    (dict(alpha=2.), 'alpha'),
])
def test_wrong_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=name):
        AdaptiveFreezing(**settings)

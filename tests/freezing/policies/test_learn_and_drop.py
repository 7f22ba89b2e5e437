"""Learn&Drop's number of layers, replayed from tables of scores by a definition of its own."""
import random

import pytest

from mmfreeze.freezing import Clock, LearnAndDrop


def decisions(policy, table, unit=5):
    """Feeds a table of scores, one row an epoch; returns n after each."""
    policy.setup(len(table[0]))
    counts = []
    for epoch, row in enumerate(table, 1):
        clock = Clock(epoch * unit, 100 * unit, unit)
        assert policy.due(clock) == (epoch % (policy.interval or 1) == 0)
        if policy.due(clock):
            row = [None if i < policy.num_frozen else s for i, s in enumerate(row)]
            policy.decide(clock, dict(weight_change=row))
            assert not policy.due(clock)
        counts.append(policy.num_frozen)
    return counts


def replay(table, tau, patience, warmup=0, most=None):
    """n(e) by the definition, looking back over the whole table each time."""
    layers, counts, n = len(table[0]), [], 0
    for e in range(1, len(table) + 1):
        seen = table[warmup:e]
        settled = 0
        for layer in range(layers):
            trends = [row[layer] / max(r[layer] for r in seen[:i + 1])
                      for i, row in enumerate(seen)]
            last = trends[-patience:]
            # a frozen layer was settled when it froze
            if layer >= n and (len(last) < patience or not all(r < tau for r in last)):
                break
            settled = layer + 1
        n = max(n, min(settled, layers - 1 if most is None else most))
        counts.append(n)
    return counts


@pytest.mark.parametrize('seed', range(20))
def test_counts_equal_a_replay_of_the_definition(seed):
    draw = random.Random(seed)
    layers, epochs = draw.randint(2, 8), 25
    rates = [draw.uniform(.5, 1.05) for _ in range(layers)]
    table = [[rate**e * draw.uniform(.3, 1.) + 1e-9 for rate in rates] for e in range(epochs)]
    tau, patience, warmup = draw.uniform(.02, .5), draw.randint(1, 4), draw.randint(0, 5)
    counts = decisions(LearnAndDrop(tau=tau, patience=patience, warmup=warmup), table)
    assert counts == replay(table, tau, patience, warmup)


def test_a_table_by_hand():
    # trends of layer 0: 1, .5, .09, .2, .05, .05; of layer 1: 1, .05, .05 ...; of layer 2 likewise
    table = [[1., 1., 1.], [.5, .05, .05], [.09, .05, .05], [.2, .05, .05], [.05, .05, .05],
             [.05, .05, .05], [.05, .05, .05]]
    assert decisions(LearnAndDrop(), table) == [0, 0, 0, 0, 0, 2, 2]
    assert decisions(LearnAndDrop(max_frozen=1), table) == [0, 0, 0, 0, 0, 1, 1]
    assert decisions(LearnAndDrop(patience=1), table) == [0, 0, 2, 2, 2, 2, 2]
    assert decisions(LearnAndDrop(tau=0), table) == [0] * 7


def test_warm_up_scores_do_not_count():
    table = [[9., 9.]] + [[.5, .5]] * 4
    assert decisions(LearnAndDrop(patience=1), table) == [0, 1, 1, 1, 1]
    assert decisions(LearnAndDrop(patience=1, warmup=1), table) == [0] * 5


def test_an_evaluation_may_span_several_epochs():
    table = [[1., 1.]] * 3 + [[.01, .01]] * 9
    assert decisions(LearnAndDrop(interval=3), table) == [0] * 8 + [1] * 4


def test_layers_that_never_change_settle():
    assert decisions(LearnAndDrop(), [[0., 1.], [0., 1.]]) == [0, 1]


def test_it_resumes_where_it_was():
    table = [[.8**e, .9**e, .7**e] for e in range(30)]
    whole = decisions(LearnAndDrop(), table)
    first, second = LearnAndDrop(), LearnAndDrop()
    counts = decisions(first, table[:14])
    second.setup(3)
    second.load_state_dict(first.state_dict())
    for epoch, row in enumerate(table[14:], 15):
        second.decide(Clock(epoch, 100), dict(weight_change=row))
        counts.append(second.num_frozen)
    assert counts == whole and len(set(whole)) > 1


@pytest.mark.parametrize('settings, message', [
    (dict(tau=-.1), r'tau must be in \[0, 1\], but is -0.1'),
    (dict(tau=1.5), r'tau must be in \[0, 1\], but is 1.5'),
    (dict(patience=0), 'patience must be an integer of at least 1'),
    (dict(interval=0), 'interval must be an integer of at least 1'),
    (dict(warmup=-1), 'warmup must be an integer of at least 0'),
])
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        LearnAndDrop(**settings)

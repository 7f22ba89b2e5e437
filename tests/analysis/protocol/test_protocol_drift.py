"""Rows and the drift of the machine are told apart, on made-up epochs."""
import random
from dataclasses import replace

import pytest
from test_protocol_figures import figures

from mmfreeze.analysis.protocol.drift import TimedEpoch, steady, without_drift
from mmfreeze.analysis.protocol.report import protocol_report

COST = {0: 16., 3: 14., 6: 13., 12: 11.}
COURSES = dict(base=[0] * 24, afa=[0] * 4 + [3] * 6 + [6] * 8 + [12] * 6, frozen=[12] * 24)


def epochs_on(machine, lanes, seeds=3, noise=0.):
    """Parts one after the other, on some lanes side by side, on a machine of changing speed."""
    random.seed(0)
    at, epochs = [0.] * lanes, []
    for seed in range(seeds):
        for row, course in COURSES.items():
            lane = at.index(min(at))
            for frozen in course:
                seconds = COST[frozen] * machine(at[lane]) * random.uniform(1 - noise, 1 + noise)
                at[lane] += seconds
                epochs.append(TimedEpoch(row, seed, (frozen, 0), at[lane], seconds))
    return epochs


def raw_share(epochs, row):
    return sum(e.seconds for e in epochs if e.row == row) / sum(
        e.seconds for e in epochs if e.row == 'base')


TRUE = {row: sum(map(COST.get, course)) / (24 * 16) for row, course in COURSES.items()}


@pytest.mark.parametrize('lanes, doubled_after', [(1, 6000), (2, 4000)])
def test_rows_on_a_machine_that_becomes_slower(lanes, doubled_after):
    epochs = epochs_on(lambda at: 1 + at / doubled_after, lanes, noise=.03)
    found = steady(epochs)
    for row, (share, low, high) in found.shares.items():
        assert share == pytest.approx(TRUE[row], rel=.02) and low <= high
    assert abs(raw_share(epochs, 'frozen') / TRUE['frozen'] - 1) > .04, 'what there is to correct'
    assert found.drift[0] < .9 and found.drift[1] > 1.1


def test_a_burst_hits_one_row_alone():
    epochs = epochs_on(lambda at: 1.5 if 400 < at < 700 else 1., lanes=2)
    shares = steady(epochs).shares
    assert {row: share for row, (share, *_) in shares.items()} == pytest.approx(TRUE, rel=.02)


def test_a_steady_machine_is_left_alone():
    found = steady(epochs_on(lambda at: 1., lanes=1))
    assert found.drift == pytest.approx((1, 1), abs=1e-3)
    assert found.shares['afa'] == pytest.approx([TRUE['afa']] * 3, rel=1e-3)


def parts(seeds, ended=True):
    made = []
    for epoch in epochs_on(lambda at: 1., 1, seeds):
        if not made or (made[-1].row, made[-1].seed) != (epoch.row, epoch.seed):
            made.append(replace(figures(epoch.row, [1.] * 6, seed=epoch.seed), seconds=[],
                                states=[], ended=[]))
        made[-1].seconds.append(epoch.seconds)
        made[-1].states.append(epoch.state)
        made[-1].ended.append(epoch.ended if ended else None)
    return made


def test_in_the_report():
    text = protocol_report('title', parts(3))
    assert '| afa | 0.828 (0.828 to 0.828) | 1.21 (1.21 to 1.21) |' in text
    assert '1.00 to 1.00 times as long' in text
    for too_little in (parts(1), parts(3, ended=False)):
        assert without_drift(too_little) is None
        assert 'times as long' not in protocol_report('title', too_little)

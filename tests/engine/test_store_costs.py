"""Storing where it pays, by what is measured at the start."""
import errno
import os

import pytest
import torch
from view_runs import build, options, run

from mmfreeze.engine.store_costs import StoreCosts

LFA = dict(type='LinearFreezing')


def same(weights, others):
    return all(torch.equal(value, others[name]) for name, value in weights.items())


def costs(**changes):
    return StoreCosts(**dict(dict(load=0., forward=[1., 1., 1., 1.], write=.5, read=.25,
                                  views=1), **changes))


def test_costs_of_what_is_left():
    # Four passes through three layers; or computed and written once, and read four times.
    assert costs().seconds(3, passes=4) == (12., 3. + .5 + 4 * .25)
    # Of two views five passes show 2 (1 - 1/32) on average.
    assert costs(views=2, load=2.).seconds(1, passes=5) == pytest.approx(
        (5 * 3., 2 * (1 - 1 / 32) * 3.5 + 5 * .25))
    # What is stored behind layer 1 is read in either case.
    assert costs().seconds(3, passes=4, stored=1) == (
        4 * 2.25, 2.25 + .5 + 4 * .25)


@pytest.mark.parametrize('passes, changes, expected', [
    (10, {}, 1), (2, {}, 2), (1, {}, None), (10, dict(read=2.5), 3),
    (10, dict(read=9.), None), (3, dict(views=4), 3), (2, dict(views=8, write=3.), None)])
def test_break_even(passes, changes, expected):
    assert costs(**changes).break_even(passes) == expected


@pytest.mark.parametrize('read, stores', [(1e-9, True), (1e9, False)])
def test_what_is_measured_decides(tmp_path, monkeypatch, read, stores):
    monkeypatch.setattr('mmfreeze.engine.store_costs.measure_store',
                        lambda *_: (1e-9, read))
    plain = run(tmp_path / 'plain', policy=LFA, **options(tmp_path / 'images'))
    build.count += 1
    runner = build(tmp_path / 'run', policy=LFA, store='auto', **options(tmp_path / 'images'))
    lines = []
    runner.logger.info = lambda line, *_: lines.append(str(line))
    runner.train()
    assert same(runner.model.state_dict(), plain[0])
    record = next(hook for hook in runner.hooks if hasattr(hook, 'timeline')).timeline
    assert bool(record.fills) == stores
    said = [line for line in lines if 'storing pays' in line or 'it would' in line]
    assert ('never' in said[0]) != stores and 'passes left' in said[0]
    assert ('not pay' in said[1]) != stores


def test_measured_at_the_start_and_kept_in_checkpoints(tmp_path):
    given = dict(policy=LFA, store='auto')
    run(tmp_path / 'run', epochs=2, **given, **options(tmp_path / 'images'))
    state = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=False)
    kept = StoreCosts(**state['mmfreeze']['store']['costs'])
    assert len(kept.forward) == 4 and min(kept.forward) > 0
    assert kept.load > 0 and kept.write > 0 and kept.read > 0 and kept.views == 4
    build.count += 1
    runner = build(tmp_path / 'run', epochs=3, resume=True, **given,
                   **options(tmp_path / 'images'))
    runner.train()
    hook = next(hook for hook in runner.hooks if hasattr(hook, 'store'))
    assert hook.store._costs == kept


def test_auto_without_room_to_measure_trains_on(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    def given():
        return dict(policy=LFA, **options(tmp_path / 'images'))

    plain = run(tmp_path / 'plain', **given())
    monkeypatch.setattr(os, 'posix_fallocate', full)
    stored = run(tmp_path / 'run', store=dict(when='auto', where='file'), **given())
    assert same(stored[0], plain[0])

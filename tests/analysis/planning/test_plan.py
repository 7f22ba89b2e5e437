"""From a config and measurements to rows, ranges and words."""
import json
import random
from pathlib import Path

import pytest
from mmengine.config import Config

from mmfreeze.analysis.planning import (Length, Measured, MeasuredStore, PlannedRow, course_of,
                                        make_plan, planned_rows)
from mmfreeze.analysis.planning.picture import plot_plan
from mmfreeze.analysis.planning.rehearsal import Rehearsal, _typical
from mmfreeze.analysis.planning.report import course_text, plan_as_dict, plan_report
from mmfreeze.engine.store_costs import StoreCosts
from mmfreeze.freezing.cost import LayerCosts

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
LENGTH = Length(max_iters=80, iterations=10, samples=80)
AFA = PlannedRow('afa', dict(type='AdaptiveFreezing'))
LFA = PlannedRow('lfa', dict(type='LinearFreezing'))


def measured(last=1., **settings):
    layers = LayerCosts([1] * 12, [2] * 12, 6, 12)
    return Measured(**dict(dict(
        counts=[0, 12], seconds=[2., last], memory=[200, 100], layers=layers, forward=[.01] * 12,
        batch_size=8, load=0., workers=0, first=0., uncertainty=.02), **settings))


def rehearsal(of):
    return Rehearsal(of, [f'block {i}' for i in range(12)], 80, 10, 'made up', 'made up', 5,
                     'the data is absent')


def names_of(rows):
    return [row.name for row in rows]


def test_the_policies_of_an_unfrozen_config():
    rows, unsuited = planned_rows(Config.fromfile(CONFIGS / 'vitdet_base-views_toy.py'), None, 12)
    assert names_of(rows) == ['lfa', 'afa', 'geometric', 'afa+store', 'freezeout', 'learndrop',
                              'frozen']
    assert not unsuited and rows[-1].policy == dict(type='StaticFreezing', num_frozen=12)
    assert [row.when for row in rows] == [None, None, None, 'auto', None, 'always', None]


def test_the_configs_own_policy_comes_first_and_once():
    rows, _ = planned_rows(Config.fromfile(CONFIGS / 'vitdet_afa-store_toy.py'), None, 12)
    assert rows[0] == PlannedRow('config', dict(type='AdaptiveFreezing'), dict(when='auto'))
    assert names_of(rows) == ['config', 'lfa', 'afa', 'geometric', 'freezeout', 'learndrop',
                              'frozen']


def test_what_does_not_suit_says_why():
    cfg = Config.fromfile(CONFIGS / 'vitdet_base_toy.py')
    del cfg.optim_wrapper['constructor']
    rows, unsuited = planned_rows(cfg, ['freezeout', 'lfa', 'afa+store'], 12)
    assert names_of(rows) == ['lfa', 'afa+store']
    assert 'LayerGroupsConstructor' in unsuited['freezeout']
    plan = make_plan(measured(), LENGTH, rows, unsuited, 'the data is absent')
    assert plan.unsuited['afa+store'] == 'nothing can be stored: the data is absent'
    assert [p.row.name for p in plan.policies] == ['lfa']


def test_a_policy_that_does_not_fit_the_length_leaves_the_others_in_the_plan():
    plan = make_plan(measured(), LENGTH, [
        PlannedRow('freezeout', dict(type='FreezeOut', warmup=80)), LFA,
        PlannedRow('config', dict(type='AdaptiveFreezing', max_frozen=13))], {})
    assert 'leaves nothing of a run of 80 iterations' in plan.unsuited['freezeout']
    assert 'has 12 freezable layers' in plan.unsuited['config']
    assert [p.row.name for p in plan.policies] == ['lfa']


@pytest.mark.parametrize('settings, message', [
    (dict(store=dict(where='rom')), 'store.where must be one of'),
    (dict(policy=dict(type='FreezeOut', how='fast')), 'how must be one of')])
def test_wrong_settings_show_before_anything_is_measured(settings, message):
    cfg = Config.fromfile(CONFIGS / 'vitdet_afa-store_toy.py')
    cfg.custom_hooks[0].update(settings)
    with pytest.raises(ValueError, match=message):
        planned_rows(cfg, ['lfa'], 1)


def test_ranges_contain_whatever_an_adaptive_policy_does():
    of = measured()
    plan = make_plan(of, LENGTH, [AFA, LFA], {})
    afa, lfa = plan.policies
    least, most = afa.seconds(of.uncertainty)
    assert afa.adaptive and not lfa.adaptive and lfa.seconds(.02) == (lfa.slowest.total, ) * 2
    for _ in range(20):
        course = [random.randint(*ends) for ends in zip(afa.slowest.frozen, afa.fastest.frozen)]
        total = course_of(of, LENGTH, sorted(course)).total
        # 2 % more on either side is what times are known to.
        assert least / .98 - 1e-9 <= total <= most / 1.02 + 1e-9
    assert (least / .98, most / 1.02) == pytest.approx((afa.fastest.total, afa.slowest.total))
    assert afa.saved(plan.base) == pytest.approx(
        [1 - total / 160 for total in (afa.slowest.total, afa.fastest.total)])


def test_a_policy_that_may_freeze_nothing():
    plan = make_plan(measured(), LENGTH, [PlannedRow('x', dict(type='LearnAndDrop', warmup=1))], {})
    planned, = plan.policies
    assert planned.open and planned.slowest.frozen == [0] * 8
    # Of two evaluations behind the warm-up.
    assert planned.fastest.frozen == [0, 0, 0, 11, 11, 11, 11, 11]


def test_ceilings():
    plan = make_plan(measured(), LENGTH, [], {})
    assert plan.base.total == 160 and plan.ceilings['freezing'].total == 80
    assert set(plan.ceilings) == {'freezing'}


@pytest.mark.parametrize('last, said', [
    (1., 'Of the policies below afa saves most'), (1.96, 'will probably not be noticed'),
    (1.8, 'may turn out too little')])
def test_words(last, said):
    of = measured(last)
    plan = make_plan(of, LENGTH, [AFA, LFA], dict(learndrop='why', frozen='so', freezeout='why'),
                     'the data is absent')
    text = plan_report('x.py', plan, rehearsal(of))
    assert said in text and 'docs/results.md' in text
    assert 'cannot be stored: the data is absent' in text and (
        '- Not planned: learndrop, freezeout: why.\n- Not planned: frozen: so.\n' in text)
    assert text.count('Not planned') == 2
    rows = [line for line in text.splitlines() if line.startswith('| ')]
    assert {row.count('|') for row in rows if row.startswith(('| base', '| afa', '| lfa'))} == {8}


@pytest.mark.parametrize('on_disk, write, said', [
    (False, 0., 'pays from 1 frozen layer on, if they freeze at the beginning, and takes about '
                '5 MB of memory: AFA'),
    (True, 0., 'about 5 MB on the disk: an image is loaded'),
    (False, 9., 'does not pay in this run.')])
def test_the_words_that_a_store_deserves(on_disk, write, said):
    store = MeasuredStore(StoreCosts(.1, [.01] * 12, write, 0., views=1), load_bare=None, setup=0.,
                          move=0., nbytes=5 * 10**6, room=10**8, on_disk=on_disk)
    of = measured(store=store)
    rows = [AFA, AFA._replace(name='afa+store', store=dict(when='auto'))]
    text = plan_report('x.py', make_plan(of, LENGTH, rows, {}), rehearsal(of))
    assert said in text and 'may lead out of it' in text


def test_an_iteration_loop_that_ends_within_an_epoch():
    of = measured()
    plan = make_plan(of, Length(max_iters=25, iterations=10, samples=80, by_epoch=False), [LFA], {})
    assert '25 iterations, 2.5 epochs of 80 images' in plan_report('x.py', plan, rehearsal(of))


def test_the_words_that_loading_deserves():
    for settings, said in ((dict(load=1.), 'Loading takes 80 % of an iteration'),
                           (dict(load=1., workers=2), 'workers deliver a batch every 4000 ms'),
                           (dict(load=.01), None)):
        of = measured(**settings)
        text = plan_report('x.py', make_plan(of, LENGTH, [LFA], {}), rehearsal(of))
        assert (said in text) if said else 'Freezing saves nothing' not in text


def test_a_drifting_machine_leaves_the_shares_as_they_are():
    drift = [1, 2, 4, 1.5, 1, 3, 2, 1, 2, 8]
    times, uncertainty = _typical([[share * by for by in drift] for share in (1., .75, .5)])
    assert times == pytest.approx([2., 1.5, 1.]) and uncertainty > .2
    assert _typical([[1.] * 5, [.5] * 5]) == ([1., .5], 0)


def test_course_text():
    assert course_text([0, 0, 3, 3, 5]) == '0, 3 from epoch 3, 5 from 5'
    assert course_text([12, 12]) == '12'


def test_plain_types_and_picture(tmp_path):
    of = measured()
    plan = make_plan(of, LENGTH, [AFA, LFA], {})
    again = json.loads(json.dumps(plan_as_dict(plan, rehearsal(of))))
    assert again['policies'][0]['seconds'] == list(plan.policies[0].seconds(.02))
    assert again['rehearsal']['measured']['counts'] == [0, 12]
    plot_plan(plan, 'x', tmp_path / 'new/x.png')
    assert (tmp_path / 'new/x.png').stat().st_size > 10000

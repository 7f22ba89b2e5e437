"""The example of docs/policies, trained with."""
from pathlib import Path

import pytest
from mmengine.config import Config
from tiny_runs import run, timeline

DOCS = Path(__file__).resolve().parents[3] / 'docs' / 'policies'


@pytest.fixture
def policy(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    cfg = Config.fromfile(DOCS / 'own_policy_toy.py')
    assert cfg.optim_wrapper.type == 'FreezeOptimWrapper'
    return cfg.custom_hooks[0].policy


def test_it_freezes_by_its_rule(tmp_path, policy):
    _, watch = run(tmp_path, policy)
    largest, frozen = [0.] * 3, [0]
    for epoch in range(7):
        rows = watch.norms[6 * epoch:6 * epoch + 6]
        norms = [0. if col[0] is None else sum(col) / 6 for col in zip(*rows)]
        largest = [max(pair) for pair in zip(norms, largest)]
        settled = [norm < policy.share * most for norm, most in zip(norms, largest)]
        frozen.append(max(frozen[-1], [*settled, False].index(False)))
    assert watch.trainable[::6] == [3 - n for n in frozen]
    assert frozen[-1] > 0


def test_a_resumed_run_remembers_the_largest_norms(tmp_path, policy):
    run(tmp_path / 'whole', policy)
    run(tmp_path / 'resumed', policy, resume=True, load_from=str(tmp_path / 'whole/epoch_4.pth'))
    whole, resumed = (timeline(tmp_path / name)['decisions'] for name in ('whole', 'resumed'))
    assert resumed[:3] == whole[:3]
    assert len(resumed) == 7
    assert all(now >= before for d, e in zip(resumed, resumed[1:])
               for now, before in zip(e['largest'], d['largest']))


def test_a_wrong_setting_is_named(tmp_path, policy):
    with pytest.raises(ValueError, match='share must be in'):
        run(tmp_path, dict(policy, share=2.))

"""What is done for several ranks, without starting any."""
from types import SimpleNamespace

import mmengine.dist
import pytest
from killed_runs import build
from mmengine.config import ConfigDict
from torch import nn

from mmfreeze.engine import distributed


def test_ranks_that_would_go_on_from_different_places_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mmengine.dist, 'all_gather_object', lambda place: [place, (1, 6)])
    with pytest.raises(RuntimeError, match='would go on from different'):
        build(tmp_path, policy=dict(type='LinearFreezing')).train()


class Wrapper(nn.Module):
    _comm_hooks = ()

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_synchronised_batch_norm_is_not_converted_again(monkeypatch):
    """MMEngine converts it whenever it wraps a model whose config has ``sync_bn``."""
    monkeypatch.setattr(distributed, 'is_model_wrapper', lambda model: isinstance(model, Wrapper))
    seen = []

    def wrap_model(settings, model):
        seen.append((settings, model, dict(runner.cfg)))
        return Wrapper(model)

    model, settings = nn.Linear(1, 1), dict(type='Wrapper')
    before = dict(model_wrapper_cfg=settings, sync_bn='torch')
    runner = SimpleNamespace(model=Wrapper(model), cfg=ConfigDict(before), wrap_model=wrap_model)
    distributed.rewrap(runner)
    assert seen == [(settings, model, dict(model_wrapper_cfg=settings))]
    assert runner.cfg == before and runner.model.module is model

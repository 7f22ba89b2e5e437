"""What is measured: on a small stock detector and noise, and of a store with made-up features."""
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from mmfreeze.analysis.planning import storing
from mmfreeze.analysis.planning.rehearsal import _batches, _rehearsal_config, _Stage
from mmfreeze.engine.exact.loops import ExactLoopMixin

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'


def test_windows_of_accumulation_and_memory_of_frozen_layers(tmp_path, monkeypatch):
    path = tmp_path / 'config.py'
    path.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'\n"
        'model = dict(backbone=dict(base_channels=8), neck=dict(in_channels=[8, 16, 32, 64]), '
        'bbox_head=dict(num_classes=3))\n'
        'train_dataloader = dict(batch_size=1)\n'
        'optim_wrapper = dict(accumulative_counts=2, '
        "optimizer=dict(_delete_=True, type='AdamW'))\n")
    monkeypatch.setattr('mmfreeze.utils.configs.COCO_SIZE', (64, 64))
    monkeypatch.setattr('mmengine.config.Config.pretty_text', '')
    stage = _Stage(Config.fromfile(path), str(tmp_path))
    wrapper, params = stage.runner.optim_wrapper, stage.stack.params
    state = wrapper.optimizer.state

    # Also behind the last iteration: the noise has but one.
    for _ in range(2):
        stage.iterate(0, stage.first)
        assert wrapper.scale_loss(torch.tensor(1.)) == .5
    assert all(p in state for layer in params for p in layer)

    # On a CPU memory is that of one iteration, however many make a window.
    windows = stage.peak(0)
    stage.window = 1
    assert stage.peak(0) == windows

    # What is frozen has no state in the optimizer any more, what is not still has.
    stage.peak(2)
    assert [all(p in state for p in layer) for layer in params] == [False] * 2 + [True] * (
        len(params) - 2)
    assert not any(p in state for layer in params[:2] for p in layer)


class _Loop(ExactLoopMixin):
    dataset_cfg = None

    def __init__(self):
        pass


def test_where_there_is_room_for_a_store(monkeypatch):
    features = SimpleNamespace(samples=10, views=2, device=torch.device('cpu'),
                               try_out=lambda _: ([torch.zeros(1, 100)], 0.))
    for name, stands_in in dict(
            build_stack=[0, 1], require_replayable=None, can_skip_images=False,
            measure_costs='costs', PrefixFeatures=features, free_memory=7000).items():
        monkeypatch.setattr(storing, name, lambda *_, value=stands_in: value)
    runner = SimpleNamespace(train_loop=_Loop(), work_dir='.')
    model = SimpleNamespace(data_preprocessor=None)

    def measure(**settings):
        return storing.measure_store_of(runner, model, None, settings)

    assert measure() == (None, '8e-06 GB of features are more than the 7e-06 GB of memory that are '
                         'free')
    assert measure(max_gb=6e-6)[1].endswith('more than store.max_gb=6e-06')
    store, refusal = measure(where='file')
    assert refusal is None and (store.nbytes, store.memory, store.room) == (8000, 0, 8 * 10**9)
    assert 'on the disk' in store.size
    monkeypatch.setattr(storing, 'free_memory', lambda: 10**9)
    store, _ = measure()
    assert store.memory == 8000 and store.size.endswith('MB of memory')
    # A device's memory holds the model, but not the store.
    features.device = torch.device('meta')
    store, _ = measure()
    assert store.memory == 0 and store.size.endswith("MB of the host's memory")


def test_nothing_is_written_or_logged_within_iterations(tmp_path):
    cfg = Config.fromfile(CONFIGS / 'vitdet_afa_toy.py')
    cfg.default_hooks.checkpoint.out_dir = 'elsewhere'
    hooks = _rehearsal_config(cfg, str(tmp_path)).default_hooks
    assert hooks.logger is None
    assert hooks.checkpoint.type == 'CrashSafeCheckpointHook' and hooks.checkpoint.out_dir is None
    assert hooks.checkpoint.interval == -1 and not hooks.checkpoint.save_last
    assert cfg.default_hooks.checkpoint.out_dir == 'elsewhere'


def test_a_loader_without_a_batch_is_an_error():
    loader = DataLoader([0, 1, 2], batch_size=4, drop_last=True)
    with pytest.raises(ValueError, match='gives no batch: drop_last .* of 3 images'):
        next(_batches(loader))

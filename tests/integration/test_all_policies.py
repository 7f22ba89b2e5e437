"""Every policy trains the toy detector through its config, and goes on exactly after a stop."""
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfreeze.datasets.toy import generate_toy

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
EPOCHS, STOP_AT = 4, 5  # of 8 iterations
# Config, settings for a run that is so short, and the frozen layers of its four epochs.
POLICIES = {
    'NoFreezing': ('base', {}, [0, 0, 0, 0]),
    'StaticFreezing': ('base', dict(policy=dict(type='StaticFreezing', num_frozen=5)), [5] * 4),
    'LinearFreezing': ('lfa', {}, [0, 3, 6, 9]),
    'GeometricFreezing': ('base', dict(policy=dict(type='GeometricFreezing', interval=1)),
                          [0, 3, 5, 6]),
    'AdaptiveFreezing': ('afa', dict(policy=dict(type='AdaptiveFreezing', interval=1)), None),
    'FreezeOut': ('freezeout', dict(policy=dict(type='FreezeOut', t_0=.5, warmup=2)), None),
    'LearnAndDrop': ('learndrop', dict(policy=dict(type='LearnAndDrop', tau=.99, patience=1)),
                     None),
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy')
    generate_toy(root, 4, 2, 160, 0)
    return root


class Stop(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == STOP_AT:
            raise KeyboardInterrupt


def build(name, data, work_dir, resume=False, stop=False):
    kind, settings, _ = POLICIES[name]
    cfg = Config.fromfile(CONFIGS / f'vitdet_{kind}_toy.py')
    hook, = cfg.custom_hooks
    hook.pop('policy') if 'policy' in settings else None
    hook.update(settings)
    cfg.merge_from_dict({
        'model.backbone.embed_dim': 24, 'model.backbone.num_heads': 2,
        'model.neck.in_channels': 24, 'model.train_cfg.rcnn.sampler.num': 32,
        'model.roi_head.bbox_head.conv_out_channels': 32,
        'train_cfg.max_epochs': EPOCHS, 'train_cfg.val_interval': 2,
        'train_dataloader.batch_size': 2, 'log_level': 'WARNING'})
    cfg.param_scheduler[0].end = 2
    for schedule in cfg.param_scheduler[1:]:
        schedule.update(end=EPOCHS, T_max=EPOCHS)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = f'{data}/'
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'].ann_file = f'{data}/annotations/test.json'
    cfg.update(work_dir=str(work_dir), resume=resume,
               experiment_name=f'{name}_{Path(work_dir).name}_{resume}')
    if stop:
        cfg.custom_hooks.append(dict(type=Stop))
    return Runner.from_cfg(cfg)


def record_of(work_dir):
    record = json.loads((work_dir / 'freezing_timeline.json').read_text())
    for epoch in record['epochs']:
        epoch.pop('train_seconds')
        epoch.pop('ended')
    return record, record.pop('fills')  # what was lost is filled again


@pytest.mark.parametrize('name', POLICIES)
def test_a_run_ends_as_if_it_had_never_been_stopped(name, data, tmp_path):
    whole = build(name, data, tmp_path / 'whole')
    whole.train()
    record, fills = record_of(tmp_path / 'whole')
    assert bool(fills) == (name == 'LearnAndDrop')
    frozen = [epoch['num_frozen'] for epoch in record['epochs']]
    if POLICIES[name][2] is None:
        assert frozen[0] == 0 < frozen[-1] and frozen == sorted(frozen)
    else:
        assert frozen == POLICIES[name][2]
    assert [sorted(v['metrics'])[-1] for v in record['validations']] == ['coco/bbox_mAP_s'] * 2

    with pytest.raises(KeyboardInterrupt):
        build(name, data, tmp_path / 'run', stop=True).train()
    resumed = build(name, data, tmp_path / 'run', resume=True)
    resumed.train()
    assert resumed.train_loop.iter == whole.train_loop.iter == 8
    weights = whole.model.state_dict()
    assert all(torch.equal(value, weights[key])
               for key, value in resumed.model.state_dict().items())
    assert record_of(tmp_path / 'run')[0] == record

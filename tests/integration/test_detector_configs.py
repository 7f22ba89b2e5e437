"""Every config of the repository builds, and its policy and optimizer fit its model."""
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.engine.optimizers import LayerRatesMixin

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LAYERS = dict(vitdet=12, **{'faster-rcnn': 16})


@pytest.fixture(autouse=True)
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def detector_configs(pattern='*'):
    return [path.stem for path in sorted(CONFIGS.glob(f'{pattern}.py'))]


@pytest.mark.parametrize('name', detector_configs())
def test_config_builds(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    classes = DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['classes']
    assert model.roi_head.bbox_head.num_classes == len(classes)
    stack = build_stack(model)
    assert len(stack) == LAYERS[name.split('_')[0]] and not stack.frozen_by_model
    hook, = cfg.custom_hooks
    policy = TASK_UTILS.build(hook.policy)
    policy.setup(len(stack))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    if policy.sets_lr:
        assert isinstance(wrapper, LayerRatesMixin)
        wrapper.use_layers(stack)


@pytest.mark.parametrize('name', detector_configs('*_freezeout_*'))
def test_freezeout_has_the_warm_up_of_its_base_and_no_other_schedule(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    base = Config.fromfile(CONFIGS / f'{name.replace("freezeout", "base")}.py')
    assert cfg.param_scheduler == base.param_scheduler[:1]
    assert cfg.param_scheduler[0].type == 'LinearLR'
    assert cfg.custom_hooks[0].policy.warmup == cfg.param_scheduler[0].end > 0
    assert cfg.custom_hooks[0].policy.get('scaled', False) == (
        cfg.optim_wrapper.optimizer.type == 'SGD')
    for key in ('model', 'train_dataloader', 'train_cfg', 'test_dataloader', 'val_evaluator'):
        assert cfg[key] == base[key]
    assert cfg.optim_wrapper == dict(base.optim_wrapper, type='FreezeOptimWrapper')


def images(count):
    """Noise of 64 pixels with a box in it."""
    for _ in range(count):
        data = DetDataSample(metainfo=dict(
            img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64), scale_factor=(1., 1.)))
        data.gt_instances = InstanceData(
            bboxes=torch.tensor([[4., 4., 40., 40.]]), labels=torch.tensor([3]))
        yield dict(inputs=torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8), data_samples=data)


def test_faster_rcnn_trains_with_freezeout(tmp_path):
    """Three iterations at a small size: in the last one only the last blocks still train."""
    cfg = Config.fromfile(CONFIGS / 'faster-rcnn_r50_freezeout_nwpu.py')
    cfg.model.backbone.init_cfg = None
    cfg.custom_hooks[0].policy.update(t_0=.5, warmup=0)
    torch.manual_seed(0)
    runner = Runner(
        model=cfg.model, work_dir=str(tmp_path), custom_hooks=cfg.custom_hooks,
        optim_wrapper=cfg.optim_wrapper, default_hooks=dict(checkpoint=None),
        train_cfg=dict(by_epoch=False, max_iters=3), default_scope='mmdet',
        train_dataloader=dict(batch_size=1, num_workers=0, dataset=list(images(3)),
                              sampler=dict(type='DefaultSampler', shuffle=False)),
        randomness=dict(seed=0), experiment_name=tmp_path.name)
    runner.train()
    ends = [(.5 + .5 * i / 16) ** 3 for i in range(16)]
    frozen = sum(2 / 3 >= t for t in ends)
    assert 0 < frozen < 16
    blocks = [block for stage in range(1, 5)
              for block in runner.model.backbone.get_submodule(f'layer{stage}')]
    trains = [any(p.requires_grad for p in block.parameters()) for block in blocks]
    assert trains == [False] * frozen + [True] * (16 - frozen)
    assert not runner.model.backbone.conv1.weight.requires_grad
    assert all(p.isfinite().all() for p in runner.model.parameters())


class Images:
    """The same noise in every epoch, in samples that are the caller's own."""
    metainfo = dict(classes=('thing',) * 10)

    def __init__(self):
        torch.manual_seed(0)
        self.samples = list(images(4))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        sample = self.samples[index]
        return dict(inputs=sample['inputs'], data_samples=sample['data_samples'].clone())


class Losses(Hook):
    def __init__(self):
        self.values = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.values.append(outputs['loss'].item())


def test_faster_rcnn_trains_from_the_stored_levels_of_its_neck(tmp_path):
    cfg = Config.fromfile(CONFIGS / 'faster-rcnn_r50_learndrop_nwpu.py')
    cfg.model.backbone.init_cfg = None
    cfg.merge_from_dict({'model.train_cfg.rcnn.sampler.num': 16,
                         'model.train_cfg.rpn_proposal.max_per_img': 20})
    hook, = cfg.custom_hooks
    losses, fills = [], []
    for store in (None, dict(hook.store, dtype='float32')):
        torch.manual_seed(0)
        watch = Losses()
        runner = Runner(
            model=cfg.model, work_dir=str(tmp_path / str(store is None)), default_scope='mmdet',
            custom_hooks=[dict(hook, store=store, policy=dict(type='LinearFreezing')), watch],
            optim_wrapper=cfg.optim_wrapper, log_level='WARNING',
            default_hooks=dict(checkpoint=dict(type='CrashSafeCheckpointHook', interval=99)),
            train_cfg=dict(type='ExactEpochBasedTrainLoop', max_epochs=3),
            train_dataloader=dict(batch_size=2, num_workers=0, dataset=dict(type=Images),
                                  sampler=dict(type='DefaultSampler', shuffle=True)),
            randomness=dict(seed=0), experiment_name=f'{tmp_path.name}_{store is None}')
        freezing, = (hook for hook in runner.hooks if hasattr(hook, 'timeline'))
        runner.train()
        losses.append(watch.values)
        fills.append([(f['from_layer'], f['to_layer']) for f in freezing.timeline.fills])
    assert fills == [[], [(0, 5), (5, 11)]]  # within layer2 and layer3
    assert losses[0] == losses[1] and len(set(losses[0])) == 6

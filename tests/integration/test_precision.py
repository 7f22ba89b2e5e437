"""Small detectors trained with AFA, against the same runs in plain mmengine, frozen by hand.

The reference knows mmfreeze's model alone: mmengine's own wrappers, an optimizer made by hand where
groups matter, and ``requires_grad_(False)``, ``eval()`` and ``grad = None`` on the same blocks
before the same iterations.
"""
from functools import partial
from pathlib import Path
from typing import NamedTuple

import mmengine.optim.optimizer.amp_optimizer_wrapper as amp_wrapper
import mmengine.runner.amp as amp
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models' / 'vitdet_toy.py'
SIZE, DEPTH, LR = 64, 4, 1e-3


@pytest.fixture(autouse=True)
def _amp_on_a_cpu(monkeypatch):
    """mmengine's AMP wrapper refuses a CPU; all that keeps it from running there is named here."""
    monkeypatch.setattr(amp_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(amp_wrapper, 'GradScaler', partial(torch.amp.GradScaler, device='cpu'))
    monkeypatch.setattr(amp, 'autocast', lambda dtype: torch.autocast('cpu', dtype=dtype))


class Record(Hook):
    """Seeds the run; notes what each optimizer step used and what stood still."""
    priority = 'VERY_LOW'

    def __init__(self):
        self.num_frozen, self.grads, self.frozen = [], [], []

    def before_train(self, runner):
        torch.manual_seed(0)
        runner.optim_wrapper.optimizer.register_step_pre_hook(lambda *_: self.grads.append({
            name: param.grad.clone() for name, param in runner.model.named_parameters()
            if param.grad is not None}))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.num_frozen.append(sum(
            not block.norm1.weight.requires_grad for block in runner.model.backbone.blocks))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.frozen.append({name: param.detach().clone()
                            for name, param in runner.model.named_parameters()
                            if not param.requires_grad})


class FreezeByHand(Hook):
    """Freezes as many blocks before each iteration as a list says."""

    def __init__(self, num_frozen):
        self.num_frozen = num_frozen

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        backbone = runner.model.backbone
        n = self.num_frozen[runner.iter]
        if n:
            backbone.pos_embed.requires_grad_(False).grad = None
        for module in [backbone.patch_embed, *backbone.blocks[:n]] if n else []:
            module.eval().requires_grad_(False)
            for param in module.parameters():
                param.grad = None


class Outcome(NamedTuple):
    """A run, and what its hook noted."""
    runner: Runner
    record: Record


def build_model():
    """The toy detector, shrunk; the same weights each time."""
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.update(img_size=SIZE, embed_dim=32, depth=DEPTH, num_heads=2, window_size=3,
                        global_attn_indexes=(1, 3), drop_path_rate=.2)
    cfg.neck.update(in_channels=32, out_channels=16)
    cfg.rpn_head.update(in_channels=16, feat_channels=16)
    cfg.roi_head.bbox_roi_extractor.out_channels = 16
    cfg.roi_head.bbox_head.update(in_channels=16, fc_out_channels=32)
    cfg.train_cfg.rcnn.sampler.num = 16
    cfg.train_cfg.rpn_proposal.update(nms_pre=50, max_per_img=16)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg)
        model.init_weights()
    return model


def images():
    generator = torch.Generator().manual_seed(1)
    data = []
    for _ in range(3):
        sample = DetDataSample(metainfo=dict(
            img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[10., 10, 40, 36], [30, 44, 60, 60]]), labels=torch.tensor([0, 3]))
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        data.append(dict(inputs=torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8,
                                              generator=generator), data_samples=sample))
    return DataLoader(data, batch_size=1, collate_fn=pseudo_collate)


def run(work_dir, model, optim_wrapper, hooks, iters) -> Outcome:
    record = Record()
    runner = Runner(
        model=model, work_dir=str(work_dir), train_dataloader=images(), default_scope='mmdet',
        train_cfg=dict(by_epoch=False, max_iters=iters), optim_wrapper=optim_wrapper,
        custom_hooks=[*hooks, record], default_hooks=dict(checkpoint=None, logger=None),
        randomness=dict(seed=0), experiment_name=f'{work_dir.parent.name}_{work_dir.name}')
    runner.train()
    return Outcome(runner, record)


def adamw(params):
    return torch.optim.AdamW(params, lr=LR, weight_decay=.1)


def both(tmp_path, *, iters=6, interval=2, ours=None, theirs=None, hooks=(), **wrapper):
    """A run with AFA, and one by hand that freezes as many blocks at the same iterations.

    Args:
        ours (dict): What differs in the optimizer wrapper of the run with mmfreeze.
        theirs (Callable): Makes the other's wrapper of a model; mmengine's own, if not given.
        hooks (Sequence[dict]): Hooks of mmengine, for both.
        wrapper: Arguments of both wrappers.
    """
    kind = AmpOptimWrapper if 'dtype' in wrapper else OptimWrapper
    mine = run(
        tmp_path / 'frozen', build_model(),
        dict(type='AmpFreezeOptimWrapper' if 'dtype' in wrapper else 'FreezeOptimWrapper',
             optimizer=dict(type='AdamW', lr=LR, weight_decay=.1), **wrapper, **(ours or {})),
        [dict(type='LayerFreezingHook',
              policy=dict(type='AdaptiveFreezing', interval=interval)), *hooks], iters)
    model = build_model()
    other = run(
        tmp_path / 'by_hand', model,
        theirs(model) if theirs else kind(optimizer=adamw(model.parameters()), **wrapper),
        [FreezeByHand(mine.record.num_frozen), *hooks], iters)
    return mine, other


def assert_same(mine: Outcome, other: Outcome) -> None:
    """Frozen parameters stand still; gradients and weights are the reference's, bit by bit."""
    counts = mine.record.num_frozen
    assert counts[0] == 0 and len(set(counts)) >= 3, counts
    assert other.record.num_frozen == counts
    final = mine.runner.model.state_dict()
    for frozen in mine.record.frozen:
        for name, value in frozen.items():
            assert torch.equal(value, final[name]), f'{name} changed after it was frozen'
    assert len(mine.record.grads) == len(other.record.grads) > 0
    for step, (grads, theirs) in enumerate(zip(mine.record.grads, other.record.grads)):
        assert grads.keys() == theirs.keys()
        for name in grads:
            assert torch.equal(grads[name], theirs[name]), (step, name)
    assert_equal_states(final, other.runner.model.state_dict())


def assert_equal_states(state, other) -> None:
    assert state.keys() == other.keys()
    for name, value in state.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize('wrapper', [
    dict(),
    dict(dtype='bfloat16', loss_scale=dict(enabled=False)),
    dict(dtype='float16', loss_scale=dict(init_scale=2.**8)),
    dict(clip_grad=dict(max_norm=.1)),
    dict(clip_grad=dict(type='value', clip_value=1e-3)),
    dict(dtype='float16', loss_scale=dict(init_scale=2.**8), clip_grad=dict(max_norm=.1)),
], ids=['float32', 'bfloat16', 'float16', 'clip_norm', 'clip_value', 'float16_clip_norm'])
def test_freezing_changes_nothing_but_what_is_frozen(tmp_path, wrapper):
    mine, other = both(tmp_path, **wrapper)
    assert_same(mine, other)
    assert len(mine.record.grads) == 6


def test_overflow_steps(tmp_path):
    mine, other = both(tmp_path, iters=8, dtype='float16',
                       loss_scale=dict(init_scale=2.**40, backoff_factor=2.**-32))
    assert len(mine.record.grads) < 8, 'no step overflowed'
    assert_same(mine, other)
    scales = [r.runner.optim_wrapper.loss_scaler.get_scale() for r in (mine, other)]
    assert scales[0] == scales[1] < 2.**40


def test_accumulation(tmp_path):
    """A decision that falls into a window of two iterations waits for its end."""
    mine, other = both(tmp_path, iters=8, interval=3, accumulative_counts=2)
    counts = mine.record.num_frozen
    assert [i for i in range(1, 8) if counts[i] != counts[i - 1]] == [4, 6]
    assert len(mine.record.grads) == 4
    assert_same(mine, other)


def test_ema(tmp_path):
    mine, other = both(tmp_path, hooks=[dict(type='EMAHook', momentum=.1)])
    assert_same(mine, other)
    averages = [next(hook for hook in r.runner.hooks if isinstance(hook, EMAHook)).ema_model
                for r in (mine, other)]
    assert_equal_states(averages[0].state_dict(), averages[1].state_dict())


def test_layer_decay(tmp_path):
    def by_hand(model):
        groups = []
        for name, param in model.named_parameters():
            layer = DEPTH
            if name.startswith('backbone.'):
                layer = int(name.split('.')[2]) if name.startswith('backbone.blocks.') else 0
            exempt = param.ndim == 1 or name == 'backbone.pos_embed'
            groups.append(dict(params=[param], lr=LR * .8**(DEPTH - layer),
                               weight_decay=0. if exempt else .1))
        return OptimWrapper(optimizer=adamw(groups))

    mine, other = both(
        tmp_path, theirs=by_hand,
        ours=dict(constructor='LayerGroupsConstructor', paramwise_cfg=dict(layer_decay=.8)))
    assert_same(mine, other)

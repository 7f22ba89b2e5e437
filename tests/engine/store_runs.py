"""Runs of MMEngine's runner on small images, whose samples say which they are."""
import json
from pathlib import Path

import torch
from mmdet.registry import TRANSFORMS
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

import mmfreeze  # noqa: F401
from mmfreeze.models import ViTDetBackbone

LAYERS = 4


class Block(nn.Module):
    """A residual block with running statistics and dropout."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(.2)

    def forward(self, x):
        return (x + self.drop(self.norm(self.conv(x)))).relu_()


class ConvNet(nn.Module):
    """The output of each block is a level."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, stride=4)
        self.blocks = nn.ModuleList(Block(6) for _ in range(LAYERS))

    def ordered_layers(self):
        first, *others = [f'blocks.{i}' for i in range(LAYERS)]
        return [('stem', first), *((name,) for name in others)]

    def forward(self, x):
        x = self.stem(x)
        levels = [x := block(x) for block in self.blocks]
        return (levels[0], levels[-1])


def vit():
    torch.manual_seed(1)
    return ViTDetBackbone(img_size=16, patch_size=4, embed_dim=8, depth=LAYERS, num_heads=2,
                          window_size=3, global_attn_indexes=(1, 3), drop_path_rate=.2)


class Preprocessor(BaseDataPreprocessor):
    def forward(self, data, training=False):
        data = self.cast_data(data)
        return dict(data, inputs=torch.stack(list(data['inputs'])).float() / 100)


class Model(BaseModel):
    def __init__(self, backbone):
        super().__init__(data_preprocessor=Preprocessor())
        torch.manual_seed(1)
        self.backbone = backbone()
        self.head = nn.LazyLinear(1)
        self.head(self._pooled(torch.zeros(1, 3, 16, 16)))

    def _pooled(self, inputs):
        return torch.cat([level.mean((2, 3)) for level in self.backbone(inputs)], 1)

    def forward(self, inputs, data_samples, mode='tensor'):
        targets = torch.tensor([[sample.target] for sample in data_samples])
        error = (self.head(self._pooled(inputs)) - targets).square().mean()
        return dict(loss=error) if mode == 'loss' else [error]


@TRANSFORMS.register_module(force=True)
class PackInputs:
    """As the packing transforms of OpenMMLab, so under the name of one."""

    def __call__(self, info):
        seed = info['seed']
        generator = torch.Generator().manual_seed(seed)
        size = 16 if seed != 1000 else 20
        image = torch.randn(3, size, size, generator=generator)
        return dict(inputs=image * 100, data_samples=BaseDataElement(
            metainfo=dict(target=image[0].mean().item() + image[1, 0, 0].item())))


class Samples(BaseDataset):
    loaded = 0

    def __init__(self, seeds, **kwargs):
        self._seeds = seeds
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(seed=seed) for seed in self._seeds]

    def __getitem__(self, index):
        Samples.loaded += 1
        return super().__getitem__(index)


class Error(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample.item() for sample in data_samples]

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results))


class Watch(Hook):
    """Notes the losses, and the layers that are called in training."""
    priority = 'LOWEST'

    def before_train(self, runner):
        self.losses, self.called, self.training = [], [], False
        model = getattr(runner.model, 'module', runner.model)
        for layer, block in enumerate(model.backbone.blocks):
            block.register_forward_pre_hook(lambda *_, layer=layer: self._note(layer))

    def _note(self, layer):
        if self.training:
            self.called[-1].add(layer)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.called.append(set())
        self.training = True

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.training = False
        self.losses.append(outputs['loss'].item())


def build(work_dir, *, policy, store=None, backbone=ConvNet, epochs=6, iters=None, samples=12,
          pipeline=(dict(type='PackInputs'),), batch_size=4, workers=0, resume=False, exact=True,
          data=None, watch=None, model=None, dataset=None, val_dataset=None, seed=0,
          sampler=None, **others):
    """A runner of ``epochs`` epochs of 3 iterations, or of ``iters`` iterations."""
    unit = 1 if iters is None else 3
    prefix, kind = 'Exact' if exact else '', 'EpochBased' if iters is None else 'IterBased'
    sampler = sampler or ('DefaultSampler' if iters is None else 'InfiniteSampler')
    dataset = dataset or dict(type=Samples, seeds=data or list(range(samples)),
                              pipeline=list(pipeline))
    return Runner(
        model=model or Model(backbone), work_dir=str(work_dir), resume=resume,
        train_cfg=dict(type=f'{prefix}{kind}TrainLoop', val_interval=unit,
                       **{'max_epochs' if iters is None else 'max_iters': iters or epochs}),
        train_dataloader=dict(batch_size=batch_size, num_workers=workers, dataset=dataset,
                              sampler=dict(type=sampler, shuffle=True)),
        val_cfg=dict(), val_evaluator=dict(type=Error),
        val_dataloader=dict(batch_size=4, num_workers=0,
                            dataset=val_dataset or dict(dataset, seeds=[100, 101, 102, 103]),
                            sampler=dict(type='DefaultSampler', shuffle=False)),
        optim_wrapper=dict(type='FreezeOptimWrapper', optimizer=dict(type='AdamW', lr=.01)),
        custom_hooks=[dict(type='LayerFreezingHook', policy=policy, store=store),
                      *([watch] if watch else [])],
        default_hooks=dict(checkpoint=dict(
            type='CrashSafeCheckpointHook' if exact else 'CheckpointHook', interval=unit,
            by_epoch=iters is None, max_keep_ckpts=2)),
        randomness=dict(seed=seed), default_scope='mmdet', log_level='WARNING',
        experiment_name=f'{Path(work_dir).name}_{build.count}', **others)


build.count = 0


def run(work_dir, also=None, **options):
    """Trains; returns the final weights, what a hook saw, and the record."""
    build.count += 1
    watch = Watch()
    runner = build(work_dir, watch=watch, **options)
    if also is not None:
        runner.register_hook(also)
    runner.train()
    record = json.loads(Path(work_dir, 'freezing_timeline.json').read_text())
    model = getattr(runner.model, 'module', runner.model)
    return {k: v.clone() for k, v in model.state_dict().items()}, watch, record

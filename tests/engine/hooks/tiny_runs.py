"""Runs of MMEngine's own runner and loops on a model of a few numbers."""
import json

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.drop = nn.Dropout(.2)

    def forward(self, x):
        return x + self.drop(self.linear(x).tanh())


class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(depth))

    def ordered_layers(self):
        return [(f'blocks.{i}',) for i in range(len(self.blocks))]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Model(BaseModel):
    def __init__(self, depth=3):
        super().__init__()
        self.backbone = Net(depth)
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, targets, mode='tensor'):
        return dict(loss=(self.head(self.backbone(inputs)) - targets).square().mean())


class Watch(Hook):
    """Notes, in each iteration, what is frozen and the gradient norms that the optimizer used."""
    priority = 'LOWEST'

    def __init__(self):
        self.trainable, self.training, self.norms = [], [], []

    def before_train(self, runner):
        step = runner.optim_wrapper.step

        def spy(**kwargs):
            blocks = runner.model.backbone.blocks
            self.norms.append([
                None if b.linear.weight.grad is None else
                torch.cat([p.grad.flatten() for p in b.parameters()]).norm().item()
                for b in blocks])
            step(**kwargs)

        runner.optim_wrapper.step = spy

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        blocks = runner.model.backbone.blocks
        self.trainable.append(sum(b.linear.weight.requires_grad for b in blocks))
        self.training.append(sum(b.drop.training for b in blocks))


def dataloader(samples=12):
    generator = torch.Generator().manual_seed(1)
    data = [dict(inputs=torch.randn(4, generator=generator),
                 targets=torch.randn(1, generator=generator)) for _ in range(samples)]
    return DataLoader(data, batch_size=2)


def run(tmp_path, policy, *, epochs=8, iters=None, wrapper='FreezeOptimWrapper', resume=False,
        model=None, hook=None, load_from=None, cfg=None, schedulers=None, hooks=(),
        save_every=1, visualizer=None, **wrapper_args):
    """Trains 6 iterations an epoch, or ``iters`` ones; returns the runner and what a hook saw.

    The data last for all of these: between two passes MMEngine's iteration loop waits for seconds.
    """
    watch = Watch()
    train_cfg = (dict(by_epoch=True, max_epochs=epochs) if iters is None
                 else dict(by_epoch=False, max_iters=iters))
    runner = Runner(
        model=model or Model(), work_dir=str(tmp_path), default_scope='mmdet',
        train_dataloader=dataloader(2 * (iters or 6)), train_cfg=train_cfg,
        param_scheduler=schedulers, resume=resume, load_from=load_from,
        optim_wrapper={'type': wrapper, 'optimizer': dict(type='AdamW', lr=.01), **wrapper_args},
        custom_hooks=[dict(type='LayerFreezingHook', policy=policy, **(hook or {})), watch, *hooks],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=save_every,
                                           by_epoch=iters is None)),
        visualizer=visualizer, randomness=dict(seed=0), cfg=cfg,
        experiment_name=f'hook_{tmp_path.name}_{run.count}')
    run.count += 1
    runner.train()
    return runner, watch


run.count = 0


def timeline(tmp_path):
    return json.loads((tmp_path / 'freezing_timeline.json').read_text())

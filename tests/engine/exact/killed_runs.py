"""Small runs of MMEngine's runner in processes of their own, which a test may kill."""
import multiprocessing
import random
import time
from pathlib import Path

import numpy as np
import torch
from killing import watch_training
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

import mmfreeze  # noqa: F401

# Starts processes that have the heavy imports done already.
FORKSERVER = multiprocessing.get_context('forkserver')
FORKSERVER.set_forkserver_preload(['mmfreeze', 'mmengine.runner'])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(.2)

    def forward(self, x):
        return x + self.drop(self.norm(self.linear(x)).tanh())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(4))

    def ordered_layers(self):
        return [(f'blocks.{i}',) for i in range(4)]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Stack(BaseDataPreprocessor):
    def forward(self, data, training=False):
        return {key: value if key == 'data_samples' else torch.stack(value)
                for key, value in data.items()}


class Model(BaseModel):
    def __init__(self):
        super().__init__(data_preprocessor=Stack())
        self.backbone = Net()
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, targets, data_samples, mode='tensor'):
        error = (self.head(self.backbone(inputs)) - targets).square().mean()
        return dict(loss=error) if mode == 'loss' else [error]


class Noisy:
    """Samples with noise from each of the three generators, in training."""
    metainfo = dict(classes=('thing',))

    def __init__(self, size, noise, slow=0):
        self.slow = slow
        generator = torch.Generator().manual_seed(size)
        self.inputs = torch.randn(size, 4, generator=generator)
        self.noise = noise

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        time.sleep(self.slow)
        x = self.inputs[index]
        noise = self.noise * (torch.randn(4) + random.random() + np.random.rand())
        return dict(inputs=x + noise, targets=x[:1] * x[1:2], data_samples=BaseDataElement())


class Error(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample.item() for sample in data_samples]

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results))


def build(work_dir, *, policy, epochs=6, iters=None, checkpoints=None, workers=0,
          persistent=False, ema=False, accumulate=1, seed=0, resume=False, load_from=None,
          samples=12, batch_size=2, clip=None, store=None, slow=0,
          constructor='DefaultOptimWrapperConstructor'):
    """A runner of 6 epochs of 6 iterations, or of ``iters`` iterations; no noise with a store."""
    loader = dict(batch_size=batch_size, num_workers=workers, persistent_workers=persistent,
                  dataset=dict(type=Noisy, size=samples, noise=0 if store else .1, slow=slow))
    unit, total = (1, epochs) if iters is None else (6, iters)
    kind = 'ExactEpochBasedTrainLoop' if iters is None else 'ExactIterBasedTrainLoop'
    sampler = 'DefaultSampler' if iters is None else 'InfiniteSampler'
    torch.manual_seed(1)  # of the weights that every run starts from
    hooks = [dict(type='EMAHook', momentum=.1)] if ema else []
    return Runner(
        model=Model(), work_dir=str(work_dir), resume=resume, load_from=load_from,
        train_cfg=dict(type=kind, val_interval=2 * unit,
                       **{'max_epochs' if iters is None else 'max_iters': total}),
        train_dataloader=dict(loader, sampler=dict(type=sampler, shuffle=True)),
        val_cfg=dict(), val_evaluator=dict(type=Error),
        val_dataloader=dict(batch_size=4, num_workers=0,
                            dataset=dict(type=Noisy, size=6, noise=0),
                            sampler=dict(type='DefaultSampler', shuffle=False)),
        optim_wrapper=dict(type='FreezeOptimWrapper', accumulative_counts=accumulate,
                           clip_grad=clip, constructor=constructor,
                           optimizer=dict(type='AdamW', lr=.02)),
        param_scheduler=dict(type='CosineAnnealingLR', T_max=36, by_epoch=False),
        custom_hooks=[dict(type='LayerFreezingHook', policy=policy, store=store), *hooks],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=3),
            checkpoint=dict(type='CrashSafeCheckpointHook', save_best='error', rule='less',
                            max_keep_ckpts=2, **(checkpoints or dict(
                                interval=unit, by_epoch=iters is None)))),
        randomness=dict(seed=seed), default_scope='mmdet', log_level='ERROR',
        experiment_name=f'{Path(work_dir).name}_{resume}')


def final_state(runner):
    """What must not depend on interruptions, in plain comparable types."""
    weights = dict(runner.model.state_dict())
    for hook in runner.hooks:
        if hasattr(hook, 'ema_model'):
            weights.update({f'ema.{k}': v for k, v in hook.ema_model.state_dict().items()})
    state = runner.optim_wrapper.state_dict()['state']
    hook = next(hook for hook in runner.hooks if hasattr(hook, 'timeline'))
    record = hook.timeline.state_dict()
    for epoch in record['epochs']:
        epoch.pop('train_seconds')
        epoch.pop('ended')
    fills = record.pop('fills')  # what was lost is filled again
    return dict(
        weights={name: value.numpy().tobytes() for name, value in weights.items()},
        optimizer={i: {k: v.numpy().tobytes() for k, v in s.items()} for i, s in state.items()},
        record=record, filled=bool(fills), best=runner.message_hub.runtime_info.get('best_score'))


def _train(options, kill_at, out):
    torch.set_num_threads(1)
    events = watch_training(kill_at)
    runner = build(**options)
    runner.train()
    torch.save(dict(final_state(runner), events=events.count), out)


def train(work_dir, kill_at=0, **options):
    """Trains in a process of its own.

    Returns:
        dict or None: Its final state, with the number of events; None if it was killed.
    """
    out = Path(work_dir, 'final_state')
    out.parent.mkdir(exist_ok=True)
    process = FORKSERVER.Process(target=_train, args=(dict(options, work_dir=work_dir), kill_at,
                                                      out))
    process.start()
    process.join()
    if process.exitcode == -9:
        return None
    assert process.exitcode == 0, f'the run ended with {process.exitcode}'
    return torch.load(out, weights_only=False)

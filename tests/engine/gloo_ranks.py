"""Two gloo ranks on the CPU, and runs on a model of a few numbers in double precision."""
import os
import weakref
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

import mmfreeze.engine.exact  # noqa: F401, registers the loops

WRAPPER = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)


def on_two_ranks(function, folder):
    """Calls ``function(folder)`` in two processes of one group; returns what each returned."""
    mp.spawn(_on_rank, args=(function, str(folder)), nprocs=2)
    return [torch.load(Path(folder, f'rank{rank}.pth'), weights_only=False) for rank in range(2)]


def _on_rank(rank, function, folder):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    # Ranks that do not meet any more are to make a test fail, not to hang.
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2,
                            timeout=timedelta(seconds=60))
    torch.save(function(folder), f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

    def ordered_layers(self):
        return [(f'blocks.{i}',) for i in range(4)]

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x).tanh()
        return x


class Model(BaseModel):
    """Its loss is a mean over the samples, so that the mean over ranks is that of one process."""

    def __init__(self, unused=False):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = Net()
        self.head = nn.Linear(4, 1)
        if unused:
            self.unused = nn.Linear(4, 1)
        self.double()

    def forward(self, inputs, targets, mode='tensor'):
        out = self.head(self.backbone(inputs))
        return dict(loss=(out - targets).square().mean()) if mode == 'loss' else out


class Numbers(Dataset):
    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.samples = torch.randn(16, 5, generator=generator, dtype=torch.float64)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return dict(inputs=self.samples[index, :4], targets=self.samples[index, 4:])


class Watch(Hook):
    """Counts, by a user's communication hook set once, what each iteration's all-reduce carries.

    Also looks, whenever the wrapper is another one, whether the old one is gone: at once, without
    the garbage collector's help.
    """
    priority = 'LOWEST'

    def __init__(self):
        self.bytes, self.frozen, self.wrappers, self.survivors = [], [], [], 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.bytes.append(0)
        model = runner.model
        if is_model_wrapper(model):
            if not self.wrappers:
                model.register_comm_hook(None, self.count)
            if not self.wrappers or self.wrappers[-1]() is not model:
                self.survivors += sum(ref() is not None for ref in self.wrappers)
                self.wrappers.append(weakref.ref(model))
            model = model.module
        self.frozen.append(sum(not b.weight.requires_grad for b in model.backbone.blocks))

    def count(self, _, bucket):
        self.bytes[-1] += bucket.buffer().nbytes
        future = dist.all_reduce(bucket.buffer().div_(2), async_op=True).get_future()
        return future.then(lambda f: f.value()[0])


class Count(BaseMetric):
    """Stands in a validation loop, where only the loop matters."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(samples=len(results))


def train(work_dir, policy, *, ranks=2, epochs=8, resume=None, wrapper='OptimWrapper', hooks=(),
          unused=False, accumulate=1, validate=False, model_wrapper=WRAPPER,
          constructor='DefaultOptimWrapperConstructor'):
    """Trains four iterations of four samples in an epoch, on this rank's share of each.

    Returns:
        dict: The weights, and what :class:`Watch` saw.
    """
    watch = Watch()
    val = {} if not validate else dict(
        val_cfg=dict(), val_evaluator=[Count()],
        val_dataloader=dict(batch_size=4, dataset=Numbers(),
                            collate_fn=dict(type='default_collate'),
                            sampler=dict(type='DefaultSampler')))
    runner = Runner(
        model=Model(unused), work_dir=str(work_dir), launcher='pytorch' if ranks > 1 else 'none',
        resume=resume is not None, load_from=resume and str(resume),
        train_dataloader=dict(batch_size=4 // ranks, dataset=dict(type=Numbers),
                              collate_fn=dict(type='default_collate'),
                              sampler=dict(type='DefaultSampler', shuffle=True)),
        train_cfg=dict(type='ExactEpochBasedTrainLoop', max_epochs=epochs),
        optim_wrapper=dict(type=wrapper, accumulative_counts=accumulate, constructor=constructor,
                           optimizer=dict(type='AdamW', lr=.01)),
        custom_hooks=[dict(type='LayerFreezingHook', policy=policy), watch, *hooks],
        default_hooks=dict(checkpoint=dict(type='CrashSafeCheckpointHook', interval=1)),
        randomness=dict(seed=0), default_scope='mmdet', experiment_name=Path(work_dir).name,
        cfg=dict(model_wrapper_cfg=model_wrapper), **val)
    runner.train()
    model = runner.model.module if ranks > 1 else runner.model
    return dict(params={name: value.clone() for name, value in model.state_dict().items()},
                bytes=watch.bytes, frozen=watch.frozen, wrappers=len(watch.wrappers),
                survivors=watch.survivors)

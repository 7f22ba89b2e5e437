"""Freezing under DistributedDataParallel, with two gloo ranks on the CPU."""
import gc
import json
import os
import shutil
import weakref
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner
from torch import nn

from mmfreeze.engine.distributed import require_freezable


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
    def __init__(self):
        super().__init__()
        self.backbone = Net()
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, targets, mode='tensor'):
        return dict(loss=(self.head(self.backbone(inputs)) - targets).square().mean())


class DisturbRankOne(Hook):
    """Lets the ranks see different norms, as rounding may: they must still decide alike."""
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if dist.get_rank() == 1:
            runner.optim_wrapper.grad_signal._norms[0] += 100


class CountReducedBytes(Hook):
    """A user's communication hook, set once; it counts what each iteration's all-reduce carries."""
    priority = 'LOWEST'

    def __init__(self):
        self.wrapper, self.bytes, self.wrappers = None, [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.model is not self.wrapper:
            if self.wrapper is None:
                runner.model.register_comm_hook(None, self.count)
            self.wrapper = runner.model
            self.wrappers.append(weakref.ref(runner.model))
        self.bytes.append(0)

    def count(self, _, bucket):
        self.bytes[-1] += bucket.buffer().nbytes
        future = dist.all_reduce(bucket.buffer().div_(2), async_op=True).get_future()
        return future.then(lambda f: f.value()[0])


def train(work_dir, resume):
    """Trains on this rank; returns what the test wants to know of it."""
    generator = torch.Generator().manual_seed(1)
    data = [dict(inputs=torch.randn(4, generator=generator),
                 targets=torch.randn(1, generator=generator)) for _ in range(16)]
    watch = CountReducedBytes()
    runner = Runner(
        model=Model(), work_dir=f'{work_dir}/run', launcher='pytorch', resume=resume,
        train_dataloader=dict(batch_size=2, num_workers=0, dataset=data,
                              collate_fn=dict(type='default_collate'),
                              sampler=dict(type='DefaultSampler', shuffle=True)),
        train_cfg=dict(by_epoch=True, max_epochs=8), randomness=dict(seed=0),
        optim_wrapper=dict(type='FreezeOptimWrapper', optimizer=dict(type='AdamW', lr=.01)),
        custom_hooks=[dict(type='LayerFreezingHook', policy=dict(
            type='AdaptiveFreezing', interval=2, alpha=.3)), watch, DisturbRankOne()],
        default_scope='mmdet', experiment_name=f'resume_{resume}',
        cfg=dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None,
                                        broadcast_buffers=False)))
    runner.train()
    gc.collect()
    return dict(
        params={k: v.clone() for k, v in runner.model.module.state_dict().items()},
        bytes=watch.bytes, wrapped=isinstance(runner.model, MMDistributedDataParallel),
        wrappers_alive=sum(ref() is not None for ref in watch.wrappers),
        wrappers=len(watch.wrappers),
        trainable=[b.weight.requires_grad for b in runner.model.module.backbone.blocks])


def on_each_rank(rank, work_dir):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{work_dir}/store', rank=rank,
                            world_size=2)
    whole = train(work_dir, resume=False)
    if rank == 0:
        run = Path(work_dir, 'run')
        shutil.copy(run / 'freezing_timeline.json', work_dir)
        for epoch in (6, 7, 8):
            (run / f'epoch_{epoch}.pth').unlink()
        (run / 'last_checkpoint').write_text(str(run / 'epoch_5.pth'))
    dist.barrier()
    torch.save((whole, train(work_dir, resume=True)), f'{work_dir}/rank{rank}.pth')
    dist.destroy_process_group()


def test_two_ranks_agree_through_freezes_and_a_resume(tmp_path):
    mp.spawn(on_each_rank, args=(str(tmp_path),), nprocs=2)
    (whole, resumed), (whole_1, resumed_1) = (torch.load(tmp_path / f'rank{r}.pth')
                                              for r in range(2))
    record = json.loads((tmp_path / 'freezing_timeline.json').read_text())
    n = [epoch['num_frozen'] for epoch in record['epochs']]
    assert len(set(n)) >= 3, 'at least two freezes'
    for state in (whole, whole_1):
        assert state['wrapped']
        assert state['wrappers'] == len(set(n)) and state['wrappers_alive'] == 1
        # Float32 weights and biases: 4 blocks of 20 numbers, and the head of 5.
        assert state['bytes'] == [4 * (20 * (4 - k) + 5) for k in n for _ in range(4)]
        assert state['trainable'] == [i >= n[-1] for i in range(4)]
    assert len(resumed['bytes']) == 12, 'three epochs of four iterations'
    for name, value in whole['params'].items():
        for state in (whole_1, resumed, resumed_1):
            assert torch.equal(value, state['params'][name]), name
    again = json.loads((tmp_path / 'run/freezing_timeline.json').read_text())
    assert again['decisions'] == record['decisions']


def test_other_wrappers_are_refused(monkeypatch):
    class Sharded(nn.Module):
        """Stands for a wrapper such as FSDP's."""

    monkeypatch.setattr('mmfreeze.engine.distributed.is_model_wrapper', lambda model: True)
    with pytest.raises(NotImplementedError, match='Sharded'):
        require_freezable(Sharded())
    static = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(static)
    static.static_graph = True
    with pytest.raises(NotImplementedError, match='static_graph'):
        require_freezable(static)

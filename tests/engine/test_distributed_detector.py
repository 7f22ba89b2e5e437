"""The toy detector on two ranks against plain code that freezes without this project."""
import os
from pathlib import Path

import pytest
import torch
from gloo_ranks import WRAPPER, on_two_ranks
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner

from mmfreeze.datasets.toy import generate_toy

ROOT = Path(__file__).resolve().parents[2]
# LFA's number of frozen layers by iteration, for 12 layers in 4 epochs of 2 iterations.
PLAN = {2: 3, 4: 6, 6: 9}


class PlainFreezing(Hook):
    """Sets ``requires_grad``, then wraps the model again; what a user may write by hand."""

    def __init__(self):
        self.n = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        model = runner.model.module
        backbone = model.backbone
        if runner.iter in PLAN:
            self.n = PLAN[runner.iter]
            backbone.pos_embed.requires_grad_(False)
            backbone.patch_embed.requires_grad_(False)
            backbone.blocks[:self.n].requires_grad_(False)
            runner.model = None
            runner.model = MMDistributedDataParallel(
                model, device_ids=None, broadcast_buffers=False)
        if self.n:
            backbone.patch_embed.eval()
            backbone.blocks[:self.n].eval()


def train(name, plain):
    cfg = Config.fromfile(ROOT / 'configs/vitdet_lfa_toy.py')
    cfg.merge_from_dict(dict(
        launcher='pytorch', work_dir=name, experiment_name=name, model_wrapper_cfg=WRAPPER,
        train_cfg=dict(max_epochs=4), train_dataloader=dict(batch_size=2),
        # So that eval mode matters.
        model=dict(backbone=dict(drop_path_rate=.3)),
        default_hooks=dict(checkpoint=dict(interval=-1, save_best=None))))
    for kind in ('val', 'test'):
        cfg[f'{kind}_cfg'] = cfg[f'{kind}_dataloader'] = cfg[f'{kind}_evaluator'] = None
    if plain:
        cfg.custom_hooks = []
    runner = Runner.from_cfg(cfg)
    if plain:
        runner.register_hook(PlainFreezing())
    runner.train()
    model = runner.model.module
    return dict(params=model.state_dict(),
                trainable=[name for name, p in model.named_parameters() if p.requires_grad])


def on_each_rank(folder):
    os.chdir(folder)
    return train('frozen', plain=False), train('plain', plain=True)


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('detector')
    generate_toy(folder / 'data/toy', 8, 4, 160, 0)
    return on_two_ranks(on_each_rank, folder)


def test_the_toy_detector_ends_with_the_bits_of_plain_code(ranks):
    for frozen, plain in ranks:
        assert frozen['trainable'] == plain['trainable']
        assert not any('blocks.8.' in name for name in frozen['trainable'])
        for name, value in ranks[0][1]['params'].items():
            assert torch.equal(value, frozen['params'][name]), name
            assert torch.equal(value, plain['params'][name]), name

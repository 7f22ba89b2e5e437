"""ViT-B at 1024 px in mixed precision on a CUDA device: five iterations, two freezes."""
from pathlib import Path

import pytest

from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.datasets.toy import generate_toy


@pytest.mark.cuda
def test_dior_config_with_amp(tmp_path, call):
    generate_toy(tmp_path / 'data/dior', 2, 2, 256, 0)  # in DIOR's layout, of its classes
    call('dataset_converters/dior.py', 'data/dior')
    out = call('train.py', Path(__file__).resolve().parents[2] / 'configs/vitdet_afa_dior.py',
               '--amp', '--cfg-options', 'model.backbone.init_cfg=None',
               'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
               'train_cfg.max_epochs=5', 'train_cfg.val_begin=6',
               'custom_hooks.0.policy.interval=1', 'default_hooks.logger.interval=1')
    assert 'AmpFreezeOptimWrapper' in out and 'nan' not in out
    run = read_timeline(tmp_path / 'work_dirs/vitdet_afa_dior')
    n = [epoch['num_frozen'] for epoch in run.epochs]
    assert len(n) == 5 and len(set(n)) >= 3, n

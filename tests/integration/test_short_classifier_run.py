"""A classifier on real images, by the commands of the README."""
import json
from pathlib import Path

import pytest

from mmfreeze.analysis.timeline import read_timeline

CONFIG = Path(__file__).resolve().parents[2] / 'configs/classification/vgg11_base_cifar10.py'


def test_vgg11_on_cifar10(shared_data, tmp_path, call):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/cifar10').symlink_to(shared_data('cifar10'))
    out = call('train.py', CONFIG, '--cfg-options', 'train_dataloader.dataset.indices=64',
               'val_dataloader.dataset.indices=64', 'train_cfg.max_epochs=1',
               'train_dataloader.batch_size=16')
    assert '8 freezable layers' in out and 'backbone.features.9' in out
    work_dir = tmp_path / 'work_dirs/vgg11_base_cifar10'
    accuracy = read_timeline(work_dir).metrics(1)['top1']
    assert 0 <= accuracy <= 100 and list(work_dir.glob('best_accuracy_top1_epoch_1.pth'))
    table = out[out.rindex('epoch  frozen of 8'):].split()
    assert 'top-1' in table and float(table[-1]) == pytest.approx(accuracy, abs=6e-4)
    call('test.py', CONFIG, work_dir / 'epoch_1.pth', '--cfg-options',
         'test_dataloader.dataset.indices=64')
    metrics = json.loads(max(work_dir.glob('*/*.json')).read_text())
    assert metrics['accuracy/top1'] == accuracy

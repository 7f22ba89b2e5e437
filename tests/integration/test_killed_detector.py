"""tools/train.py on the toy detector: killed, its newest checkpoint spoilt, and resumed."""
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.datasets.toy import generate_toy

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = '{root}/configs/vitdet_afa_toy.py'
custom_imports = dict(imports=['dying', 'mmfreeze'])
model = dict(backbone=dict(embed_dim=48, num_heads=2), neck=dict(in_channels=48),
             train_cfg=dict(rcnn=dict(sampler=dict(num=64))))
train_dataloader = dict(batch_size=2, num_workers={workers})
train_cfg = dict(max_epochs=4, val_interval=2)
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing', interval=1))]
"""
DYING = """
import atexit
import os
from killing import watch_training
events = watch_training(int(os.environ['KILL_AT']))
atexit.register(lambda: open('events', 'w').write(str(events.count)))
"""


@pytest.fixture(scope='module')
def train(tmp_path_factory):
    """Returns a function that runs ``tools/train.py`` to its end or its death."""
    root = tmp_path_factory.mktemp('killed')
    generate_toy(root / 'data/toy', 8, 4, 160, 0)
    (root / 'dying.py').write_text(DYING)
    for workers in (0, 2):
        (root / f'workers_{workers}.py').write_text(CONFIG.format(root=ROOT, workers=workers))

    def run(work_dir, workers, *args, kill_at=0):
        done = subprocess.run(
            [sys.executable, ROOT / 'tools/train.py', f'workers_{workers}.py', '--work-dir',
             work_dir, *args], cwd=root, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(
                os.environ, OMP_NUM_THREADS='1', KILL_AT=str(kill_at),
                PYTHONPATH=f'{ROOT}:{ROOT}/tests/engine/exact:{root}'))
        assert done.returncode == (-9 if kill_at else 0), done.stdout[-3000:]
        return done.stdout

    run.root = root
    return run


@pytest.fixture(scope='module')
def whole(train):
    """The uninterrupted run: its weights, its record, its number of events."""
    train('whole', 0)
    return *result(train.root / 'whole'), int((train.root / 'events').read_text())


def result(work_dir):
    run = read_timeline(work_dir)
    epochs = [(epoch['epoch'], epoch['num_frozen']) for epoch in run.epochs]
    checkpoint = torch.load(work_dir / 'epoch_4.pth', weights_only=False)
    return checkpoint['state_dict'], (epochs, run.decisions, run.validations)


@pytest.mark.parametrize('number, workers', [(1, 2), (2, 0)])
def test_killed_and_resumed(number, workers, train, whole):
    weights, record, events = whole
    name = f'killed_{number}'
    # Behind the first two epochs, so that there is a checkpoint to spoil and one before.
    kill_at = random.Random(number).randint(events * 6 // 10, events * 9 // 10)
    train(name, workers, kill_at=kill_at)
    newest = Path((train.root / name / 'last_checkpoint').read_text())
    newest.write_bytes(newest.read_bytes()[:-1000])
    out = train(name, workers, '--resume')
    assert f'warning: {name}/{newest.name} is damaged or truncated' in out
    resumed_weights, resumed_record = result(train.root / name)
    assert resumed_record == record
    assert resumed_weights.keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(value, resumed_weights[key]), key

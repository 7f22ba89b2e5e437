"""tools/dist_train.sh and tools/dist_test.sh, with two ranks on the CPU and interruptions."""
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.datasets.toy import generate_toy

ROOT = Path(__file__).resolve().parents[2]
# MMEngine's own launcher wants a GPU for each rank; a process group that is there already is taken.
GLOO = """
import os, signal, time
import torch
import torch.distributed as dist
from mmdet.registry import HOOKS
from mmengine.hooks import Hook

dist.init_process_group('gloo')


@HOOKS.register_module()
class Interrupt(Hook):
    priority = 'LOWEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        at = f'{runner.iter}/{dist.get_rank()}'
        if os.environ.get('KILL') == at:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get('PREEMPT') == at:
            os.kill(os.getppid(), signal.SIGTERM)  # torchrun; what it passes on is waited for
            while not runner.train_loop._sigterm:
                time.sleep(.01)
"""
CONFIG = """
_base_ = '{root}/configs/vitdet_afa_toy.py'
custom_imports = dict(imports=['launched', 'mmfreeze'])
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
train_cfg = dict(max_epochs=4, val_interval=4)
train_dataloader = dict(batch_size=2)
custom_hooks = [
    dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing', interval=1)),
    dict(type='Interrupt')]
"""


def launch(folder, script, *args, code=0, **environ):
    """Runs a script; one that does not end by itself fails the test."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [ROOT / 'tools' / script, *map(str, args)], cwd=folder, text=True, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=dict(os.environ, PORT=str(port), OMP_NUM_THREADS='1', PYTHONPATH=f'{ROOT}:{folder}',
                 PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}', **environ))
    assert done.returncode == code, done.stdout[-3000:]
    return done.stdout


def train(folder, name, *args, **kwargs):
    return launch(folder, 'dist_train.sh', 'two_ranks.py', 2, '--work-dir', name, *args, **kwargs)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """With the data, the config and a run that nothing interrupted, in ``whole``."""
    path = tmp_path_factory.mktemp('launch')
    generate_toy(path / 'data/toy', 8, 4, 160, 0)
    (path / 'launched.py').write_text(GLOO)
    (path / 'two_ranks.py').write_text(CONFIG.format(root=ROOT))
    (path / 'whole.log').write_text(train(path, 'whole'))
    return path


def load(path):
    return torch.load(path, weights_only=False)


def test_two_ranks_train_and_test(folder):
    run = read_timeline(folder / 'whole')
    n = [epoch['num_frozen'] for epoch in run.epochs]
    assert n[0] == 0 < n[1] < n[2]
    assert run.decisions[0]['iteration'] == 2, 'eight images, two ranks, two each'
    out = (folder / 'whole.log').read_text()
    assert out.count('epoch  frozen of 12') == 1, 'rank 0 alone prints the table'
    out = launch(folder, 'dist_test.sh', 'two_ranks.py', 'whole/epoch_4.pth', 2)
    assert 'tenniscourt' in out


def test_a_dead_rank_and_a_preemption_change_nothing(folder):
    out = train(folder, 'broken', code=1, KILL='3/1')
    assert 'Signal 9 (SIGKILL)' in out and 'rank      : 1' in out
    broken = folder / 'broken'
    assert (broken / 'last_checkpoint').read_text() == str(broken / 'epoch_1.pth')

    out = train(folder, 'broken', '--resume', code=1, PREEMPT='4/0')
    assert f'SIGTERM: stopped after iteration 5; --resume goes on from {broken}/stopped.pth' in out
    assert sorted(path.name for path in broken.glob('*.pth')) == [
        'epoch_1.pth', 'epoch_2.pth', 'stopped.pth']

    train(folder, 'broken', '--resume')
    first, second = load(folder / 'whole/epoch_4.pth'), load(broken / 'epoch_4.pth')
    for name, value in first['state_dict'].items():
        assert torch.equal(value, second['state_dict'][name]), name
    whole, resumed = read_timeline(folder / 'whole'), read_timeline(broken)
    assert [e['num_frozen'] for e in resumed.epochs] == [e['num_frozen'] for e in whole.epochs]
    assert resumed.decisions == whole.decisions
    assert resumed.validations == whole.validations

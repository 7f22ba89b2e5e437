"""tools/dist_train.sh and tools/dist_test.sh, with two ranks on the CPU."""
import os
import socket
import subprocess
import sys
from pathlib import Path

from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.datasets.toy import generate_toy

ROOT = Path(__file__).resolve().parents[2]
# MMEngine's own launcher wants a GPU for each rank; a process group that is there already is taken.
GLOO = """
import torch
torch.distributed.init_process_group('gloo')
"""
CONFIG = """
_base_ = '{root}/configs/vitdet_afa_toy.py'
custom_imports = dict(imports=['gloo_ranks', 'mmfreeze'])
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
train_cfg = dict(max_epochs=3, val_interval=3)
train_dataloader = dict(batch_size=2)
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing', interval=1))]
"""


def launch(folder, script, *args):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [ROOT / 'tools' / script, *map(str, args)], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=dict(os.environ, PORT=str(port), OMP_NUM_THREADS='1', PYTHONPATH=f'{ROOT}:{folder}',
                 PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}'))
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_two_ranks_train_and_test(tmp_path):
    generate_toy(tmp_path / 'data/toy', 8, 4, 160, 0)
    (tmp_path / 'gloo_ranks.py').write_text(GLOO)
    (tmp_path / 'two_ranks.py').write_text(CONFIG.format(root=ROOT))
    out = launch(tmp_path, 'dist_train.sh', 'two_ranks.py', 2)
    run = read_timeline(tmp_path / 'work_dirs/two_ranks')
    n = [epoch['num_frozen'] for epoch in run.epochs]
    assert n[0] == 0 < n[1] < n[2]
    assert run.decisions[0]['iteration'] == 2, 'eight images, two ranks, two each'
    assert out.count('epoch  frozen of 12') == 1, 'rank 0 alone prints the table'
    out = launch(tmp_path, 'dist_test.sh', 'two_ranks.py', 'work_dirs/two_ranks/epoch_3.pth', 2)
    assert 'tenniscourt' in out

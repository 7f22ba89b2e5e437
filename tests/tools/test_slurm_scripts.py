"""The Slurm scripts, with an ``srun`` that says what it was called with."""
import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def call(tmp_path):
    (tmp_path / 'srun').write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    (tmp_path / 'srun').chmod(0o755)

    def run(script, *args, **settings):
        path = f'{tmp_path}:{os.environ["PATH"]}'
        return subprocess.run([TOOLS / script, *args], text=True, capture_output=True,
                              env=dict(os.environ, PATH=path, **settings))
    return run


def test_train(call):
    done = call('slurm_train.sh', 'gpu', 'a job', 'config.py', 'runs/one', '--resume',
                GPUS='16', SRUN_ARGS='--quotatype=spot --time=9')
    assert done.stdout.splitlines() == [
        '--partition=gpu', '--job-name=a job', '--ntasks=16', '--ntasks-per-node=8',
        '--gres=gpu:8', '--cpus-per-task=5', '--kill-on-bad-exit=1', '--quotatype=spot',
        '--time=9', 'python', '-u', f'{TOOLS}/train.py', 'config.py', '--work-dir', 'runs/one',
        '--launcher', 'slurm', '--resume']


def test_test_on_fewer_gpus_than_a_node_has(call):
    done = call('slurm_test.sh', 'gpu', 'job', 'config.py', 'epoch_1.pth', '--out', 'd.pkl',
                GPUS='2')
    assert done.stdout.splitlines() == [
        '--partition=gpu', '--job-name=job', '--ntasks=2', '--ntasks-per-node=2', '--gres=gpu:2',
        '--cpus-per-task=5', '--kill-on-bad-exit=1', 'python', '-u', f'{TOOLS}/test.py',
        'config.py', 'epoch_1.pth', '--launcher', 'slurm', '--out', 'd.pkl']


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_usage(call, script):
    done = call(script, 'gpu', 'job', 'config.py')
    assert done.returncode == 2 and f'tools/{script} PARTITION JOB_NAME CONFIG' in done.stderr

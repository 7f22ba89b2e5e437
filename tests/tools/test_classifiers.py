"""The tools with the config of a classifier, on made-up images."""
from pathlib import Path

import numpy as np
import pytest
import torch

from mmfreeze.analysis.timeline import read_timeline

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs/classification'
VGG = CONFIGS / 'vgg11_base_cifar10.py'
LFA = ['--cfg-options', 'custom_hooks.0.policy.type=LinearFreezing', 'train_cfg.max_epochs=3',
       'train_dataloader.batch_size=4', 'custom_hooks.0.policy.period=1']


@pytest.fixture
def in_data(tmp_path, monkeypatch):
    """Makes the current folder one with eight images for training and four for tests."""
    rng = np.random.default_rng(0)
    (tmp_path / 'data/cifar10').mkdir(parents=True)
    np.savez(tmp_path / 'data/cifar10/cifar10_subset.npz',
             x_train=rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8),
             y_train=np.arange(8), y_test=np.arange(4),
             x_test=rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(result):
    assert result.code == 1 and 'Traceback' not in result.err + result.out
    line, = (line for line in result.err.splitlines() if line.startswith('error: '))
    return line


def test_training_freezes_and_resumes_exactly(in_data, run_tool):
    whole = run_tool('train.py', VGG, '--work-dir', 'whole', *LFA)
    assert whole.code == 0, whole.err
    assert 'top-1 (%)' in whole.out and 'freezing: 2 of 8 layers' in whole.out
    run = read_timeline('whole')
    assert [epoch['num_frozen'] for epoch in run.epochs] == [0, 1, 2]
    assert 0 <= run.metrics(3)['top1'] <= 100
    Path('whole/last_checkpoint').write_text('whole/epoch_2.pth')
    expected = torch.load('whole/epoch_3.pth', weights_only=False)['state_dict']
    Path('whole/epoch_3.pth').unlink()
    assert run_tool('train.py', VGG, '--work-dir', 'whole', '--resume', *LFA).code == 0
    again = torch.load('whole/epoch_3.pth', weights_only=False)['state_dict']
    assert all(torch.equal(again[name], value) for name, value in expected.items())

    tested = run_tool('test.py', VGG, 'whole/epoch_3.pth', '--out', 'predictions.pkl')
    assert tested.code == 0, tested.err
    assert f'accuracy/top1: {run.metrics(3)["top1"]:.4f}' in tested.out
    assert Path('predictions.pkl').is_file()


def test_layers_are_printed(run_tool):
    result = run_tool('analysis_tools/print_layers.py', VGG)
    assert result.code == 0, result.err
    assert '8 layers hold 9.2 of 9.2 M parameters' in result.out
    # Products of the eight convolutions of VGG-11 at 32 px, by their sides and channels.
    products = sum(side**2 * 9 * a * b for side, a, b in (
        (32, 3, 64), (16, 64, 128), (8, 128, 256), (8, 256, 256), (4, 256, 512), (4, 512, 512),
        (2, 512, 512), (2, 512, 512)))
    assert f'3 x 32 x 32: {2 * products / 1e9:.1f} ' in result.out
    result = run_tool('analysis_tools/print_layers.py', VGG, '--cfg-options',
                      'custom_hooks.0.layers=[backbone.features.*.conv]')
    assert result.out.count('.conv\n') == 8, result.err


def test_benchmark(in_data, run_tool, monkeypatch):
    monkeypatch.setattr('mmfreeze.analysis.benchmark.measure.OVERHEAD_PAIRS', 1)
    tool, few = 'analysis_tools/benchmark_freezing.py', ['--frozen', 3, '--repeats', 1]
    result = run_tool(tool, VGG, *few, '--batch', 4)
    assert result.code == 0, result.err
    assert 'the train pipeline of the config' in result.out
    error = one_line(run_tool(tool, CONFIGS / 'vgg11_base_mnist.py', *few))
    assert 'data/mnist/mnist.npz is absent' in error


@pytest.mark.parametrize('name, words', [
    ('vgg11_base_cifar10', 'data/cifar10/cifar10_subset.npz is absent; data/README.md'),
    ('vgg11_base_mnist', 'data/mnist/mnist.npz is absent'),
    ('densenet-bc-k12-l76_base_cifar100', 'data/cifar100'),
    ('resnet50_base_imagenette', 'data/imagenette2'),
])
def test_absent_data_gets_one_line(tmp_path, monkeypatch, run_tool, name, words):
    monkeypatch.chdir(tmp_path)
    assert words in one_line(run_tool('train.py', CONFIGS / f'{name}.py'))


def test_absent_mmpretrain_gets_one_line(run_tool, monkeypatch):
    import importlib.util
    import sys
    found = importlib.util.find_spec
    for module in [name for name in sys.modules if name.startswith('mmfreeze.classification')]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(importlib.util, 'find_spec',
                        lambda name, *args: None if name == 'mmpretrain' else found(name, *args))
    error = one_line(run_tool('analysis_tools/print_layers.py', VGG))
    assert "needs mmpretrain, not installed here. Run: pip install -e '.[mm,cls]'" in error

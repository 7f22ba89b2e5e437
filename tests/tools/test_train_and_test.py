"""tools/train.py and tools/test.py as a user meets them."""
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.datasets import DIORDataset
from mmfreeze.datasets.conversion import DIORReader, convert

ROOT = Path(__file__).resolve().parents[2]

AFA, LFA, BASE = (ROOT / f'configs/vitdet_{kind}_toy.py' for kind in ('afa', 'lfa', 'base'))
# Few iterations of few images: the paths are what is tested here, not the accuracy.
SHORT = ['--cfg-options', 'train_cfg.max_epochs=4', 'train_cfg.val_interval=4',
         'train_dataloader.batch_size=4', 'custom_hooks.0.policy.interval=1']


def one_line(result):
    """The error that a tool ended with, which must be all that it says on stderr."""
    assert result.code == 1, result
    lines = [line for line in result.err.splitlines() if 'Warning' not in line and line.strip()]
    errors = [line for line in lines if line.startswith('error: ')]
    assert len(errors) == 1 and 'Traceback' not in result.err + result.out, result.err
    return errors[0]


def test_train_resume_and_test(in_tiny_toy, run_tool):
    trained = run_tool('train.py', AFA, *SHORT)
    assert trained.code == 0, trained.err
    table = trained.out[trained.out.rindex('epoch  frozen of 12'):].splitlines()
    assert [row.split()[0] for row in table[1:5]] == ['1', '2', '3', '4']
    assert len(table[4].split()) == 6, 'the validated epoch has AP, AP50 and AR@10'
    run = read_timeline('work_dirs/vitdet_afa_toy')
    n = [epoch['num_frozen'] for epoch in run.epochs]
    assert n[0] == 0 and 0 < n[1] < n[3] <= 7
    assert 'AP50' in trained.out and 'AR@10' in trained.out

    (in_tiny_toy / 'work_dirs/vitdet_afa_toy/epoch_4.pth').unlink()
    checkpoint = in_tiny_toy / 'work_dirs/vitdet_afa_toy/epoch_3.pth'
    (in_tiny_toy / 'work_dirs/vitdet_afa_toy/last_checkpoint').write_text(str(checkpoint))
    resumed = run_tool('train.py', AFA, '--resume', *SHORT)
    assert resumed.code == 0, resumed.err
    again = read_timeline('work_dirs/vitdet_afa_toy')
    assert [epoch['num_frozen'] for epoch in again.epochs] == n
    assert again.decisions == run.decisions

    last = in_tiny_toy / 'work_dirs/vitdet_afa_toy/epoch_4.pth'
    tested = run_tool('test.py', AFA, last, '--out', 'detections.pkl')
    assert tested.code == 0, tested.err
    assert re.search(r'tenniscourt +[\d.-]+ +[\d.-]+ +[\d.-]+', tested.out), 'the table by class'
    assert len(pickle.loads((in_tiny_toy / 'detections.pkl').read_bytes())) == 4


def test_work_dir_scaled_lr_and_resume_from_a_path(in_tiny_toy, run_tool):
    options = ['--work-dir', 'elsewhere', '--auto-scale-lr', '--cfg-options',
               'train_dataloader.batch_size=4', 'default_hooks.logger.interval=1',
               'train_cfg.val_interval=9']
    first = run_tool('train.py', LFA, *options, 'train_cfg.max_epochs=1')
    assert first.code == 0, first.err
    lines = [json.loads(line) for line in next(
        in_tiny_toy.glob('elsewhere/*/vis_data/scalars.json')).read_text().splitlines()]
    lr = [line['lr'] for line in lines if 'lr' in line]
    # Four images instead of the eight that the config is meant for, at the start of the warm-up.
    assert lr[0] == pytest.approx(.5 * 1e-3 * .01, rel=.01)
    second = run_tool('train.py', LFA, *options, 'train_cfg.max_epochs=2', '--resume',
                      'elsewhere/epoch_1.pth')
    assert second.code == 0, second.err
    assert [epoch['epoch'] for epoch in read_timeline('elsewhere').epochs] == [1, 2]


def test_untrained_model_scores_a_logged_zero(in_tiny_toy, run_tool):
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(BASE).model)
    torch.save(model.state_dict(), 'untrained.pth')
    result = run_tool('test.py', BASE, 'untrained.pth')
    assert result.code == 0, result.err
    metrics = json.loads(next(in_tiny_toy.glob('work_dirs/*/*/*.json')).read_text())
    assert metrics['coco/bbox_mAP_50'] == pytest.approx(0, abs=.005)
    assert metrics['coco/AR@10'] == pytest.approx(0, abs=.05)


@pytest.mark.parametrize('args, words', [
    (['configs/nothing.py'], ['no config configs/nothing.py']),
    ([AFA, '--amp'], ['--amp', 'CUDA']),
    ([AFA, '--resume', 'nothing.pth'], ['no checkpoint nothing.pth']),
    ([AFA, '--cfg-options', 'custom_hooks.0.policy.type=AdaptiveFreezign'], ['AdaptiveFreezign']),
    ([AFA, '--cfg-options', 'custom_hooks.0.policy.alhpa=.3'], ['alhpa']),
    ([AFA, '--cfg-options', 'custom_hooks.0.policy.alpha=3'], ['alpha', '(0, 1]']),
    ([AFA, '--cfg-options', 'optim_wrapper.type=OptimWrapper'], ['FreezeOptimWrapper']),
    ([AFA, '--cfg-options', 'model.backbone.dephts=3'], ['dephts']),
    ([AFA, '--cfg-options', 'auto_scale_lr=None', '--auto-scale-lr'], ['base_batch_size']),
    ([ROOT / 'configs/vitdet_lfa_dior.py'], ['data/dior', 'tools/dataset_converters/dior.py']),
    ([ROOT / 'configs/vitdet_lfa_nwpu.py'], ['data/nwpu_vhr10', 'dataset_converters/nwpu.py']),
])
def test_mistakes_get_one_line(in_tiny_toy, run_tool, args, words):
    if '--amp' in args and torch.cuda.is_available():
        pytest.skip('there is a CUDA device')
    error = one_line(run_tool('train.py', *args))
    for word in words:
        assert word in error


def test_missing_toy_set_and_start_weights(tmp_path, monkeypatch, run_tool, tiny_toy):
    monkeypatch.chdir(tmp_path)
    assert 'make_toy.py' in one_line(run_tool('train.py', AFA))
    # The DIOR config on the toy images, whose classes are DIOR's, gets as far as its weights.
    reader = DIORReader(tiny_toy / 'data/toy', DIORDataset.METAINFO['classes'])
    convert(reader, tmp_path / 'data/dior/annotations')
    for folder in ('JPEGImages-trainval', 'JPEGImages-test'):
        (tmp_path / 'data/dior' / folder).symlink_to(tiny_toy / 'data/toy' / folder)
    error = one_line(run_tool('train.py', ROOT / 'configs/vitdet_afa_dior.py', '--cfg-options',
                              'model.backbone.depth=1', 'model.backbone.global_attn_indexes=(0,)',
                              'train_dataloader.num_workers=0',
                              'train_dataloader.persistent_workers=False'))
    assert 'data/weights/mae_pretrain_vit_base.pth' in error and 'https://' in error


def test_test_py_mistakes(in_tiny_toy, run_tool):
    assert 'no checkpoint' in one_line(run_tool('test.py', BASE, 'nothing.pth'))
    (in_tiny_toy / 'x.pth').write_bytes(b'not a checkpoint')
    one_line(run_tool('test.py', BASE, 'x.pth'))
    assert '.pkl' in one_line(run_tool('test.py', BASE, 'x.pth', '--out', 'x.txt'))
    assert 'has no test_evaluator: add one' in one_line(run_tool(
        'test.py', BASE, 'x.pth', '--cfg-options', 'test_evaluator=None'))


def test_ctrl_c_says_how_to_go_on(in_tiny_toy, run_tool, monkeypatch):
    from mmengine.runner import Runner

    def interrupted(self):
        raise KeyboardInterrupt
    monkeypatch.setattr(Runner, 'train', interrupted)
    result = run_tool('train.py', BASE)
    assert result.code == 130 and result.err.splitlines()[-1] == 'interrupted'
    (in_tiny_toy / 'work_dirs/vitdet_base_toy/last_checkpoint').write_text('epoch_1.pth')
    result = run_tool('train.py', BASE)
    assert result.code == 130 and '--resume' in result.err and 'Traceback' not in result.err


def test_a_process_of_its_own_ends_alike(tmp_path):
    done = subprocess.run([sys.executable, ROOT / 'tools/train.py', 'nothing.py'], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert 'error: there is no config nothing.py' in done.stderr
    assert 'Traceback' not in done.stderr


def test_amp_keeps_the_freezing_wrapper(run_tool, monkeypatch):
    import importlib.util
    spec = importlib.util.spec_from_file_location('train_tool', ROOT / 'tools/train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    for kind, expected in (('FreezeOptimWrapper', 'AmpFreezeOptimWrapper'),
                           ('OptimWrapper', 'AmpOptimWrapper'),
                           ('mmdet.FreezeOptimWrapper', 'mmdet.AmpFreezeOptimWrapper'),
                           ('AmpFreezeOptimWrapper', 'AmpFreezeOptimWrapper')):
        cfg = Config(dict(optim_wrapper=dict(type=kind)))
        train.enable_amp(cfg)
        assert cfg.optim_wrapper.type == expected
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        train.enable_amp(Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'))))


@pytest.mark.parametrize('tool', ['train.py', 'test.py', 'analysis_tools/compare_runs.py',
                                  'analysis_tools/plot_freezing.py'])
def test_help_has_an_example(run_tool, tool):
    result = run_tool(tool, '--help')
    assert result.code == 0 and f'python tools/{tool}' in result.out


@pytest.mark.parametrize('tool', ['compare_runs.py', 'plot_freezing.py'])
def test_analysis_tools_name_a_foreign_work_dir(tmp_path, run_tool, tool):
    out = ['--out', tmp_path / 'x.png'] if tool == 'plot_freezing.py' else []
    error = one_line(run_tool(f'analysis_tools/{tool}', tmp_path, *out))
    assert 'LayerFreezingHook' in error

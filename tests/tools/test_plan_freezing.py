"""The command line of the planner."""
import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = 'analysis_tools/plan_freezing.py'
VIEWS = ROOT / 'configs/vitdet_base-views_toy.py'
AFA = ROOT / 'configs/vitdet_afa_toy.py'
TINY = ['--cfg-options', 'model.backbone.depth=3', 'model.backbone.global_attn_indexes=(2,)',
        'model.backbone.embed_dim=24', 'model.neck.in_channels=24', 'train_dataloader.batch_size=3',
        'model.train_cfg.rpn_proposal.max_per_img=16', 'model.train_cfg.rcnn.sampler.num=8']


@pytest.fixture(autouse=True)
def _in_short(monkeypatch):
    monkeypatch.setattr('mmfreeze.analysis.planning.rehearsal.ROUNDS', (2, 2))
    # Formatting the config for MMEngine's log takes as long as measuring.
    monkeypatch.setattr('mmengine.config.Config.pretty_text', '')


def test_from_the_command_to_the_plan(run_tool, in_tiny_toy):
    result = run_tool(TOOL, VIEWS, '--epochs', 4, *TINY)
    assert result.code == 0, result.err
    out = Path('work_dirs/plan_vitdet_base-views_toy')
    text = (out / 'plan.md').read_text()
    assert text in result.out and 'model.backbone.depth=3' in text.splitlines()[0]
    assert '4 epochs of 8 images, 3 iterations' in text and '| learndrop |' in text
    assert 'Not planned' not in text
    written = json.loads((out / 'plan.json').read_text())
    measured = written['rehearsal']['measured']
    assert measured['counts'] == [0, 1, 2, 3] and measured['batch_size'] == 3
    assert min(measured['seconds']) > 0 and measured['load'] > 0
    memory = measured['memory']
    assert memory == sorted(memory, reverse=True) and memory[0] > memory[-1] > 0
    assert measured['store']['costs']['views'] == 4 and measured['store']['load_bare'] > 0
    assert [p['row']['name'] for p in written['policies']][:2] == ['lfa', 'afa']
    assert (out / 'plan.png').is_file()
    # Nothing but the plan is left.
    assert sorted(path.name for path in Path('work_dirs').iterdir()) == [out.name]
    assert len(list(out.iterdir())) == 3


def test_what_a_config_freezes_itself_comes_first(run_tool, tiny_toy, tmp_path, monkeypatch):
    """Where the annotations are there, but not the images."""
    shutil.copytree(tiny_toy / 'data/toy/annotations', tmp_path / 'data/toy/annotations')
    monkeypatch.chdir(tmp_path)
    result = run_tool(TOOL, AFA, '--policy', 'lfa', '--out', 'new/plan', *TINY,
                      'model.backbone.img_size=32', 'model.backbone.window_size=2')
    assert result.code == 0, result.err
    assert 'noise of 32 x 32 pixels' in result.out and 'which is assumed' in result.out
    assert 'This config saves' in result.out
    assert 'cannot be stored: the data is absent' in result.out
    written = json.loads(Path('new/plan/plan.json').read_text())
    assert [p['row']['name'] for p in written['policies']] == ['config', 'lfa']


def test_stock_config_in_an_iteration_loop(run_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'config.py'
    path.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'\n"
        'model = dict(backbone=dict(base_channels=8), neck=dict(in_channels=[8, 16, 32, 64]), '
        'bbox_head=dict(num_classes=3))\n'
        'train_dataloader = dict(batch_size=1)\n'
        "train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3000)\n")
    monkeypatch.setattr('mmfreeze.utils.configs.COCO_SIZE', (64, 64))
    result = run_tool(TOOL, path, '--policy', 'lfa', 'learndrop', 'frozen', '--out', 'out')
    assert result.code == 0, result.err
    assert 'Not planned: learndrop: train_cfg.max_epochs is missing' in result.out
    written = json.loads(Path('out/plan.json').read_text())
    lfa, frozen = written['policies']
    assert len(lfa['fastest']['seconds']) == 3 and lfa['fastest']['frozen'][0] > 0
    assert frozen['fastest']['frozen'] == [6, 6, 6]  # of 8 blocks the model itself froze two


@pytest.mark.parametrize('args, message', [
    (['absent.py'], 'there is no config absent.py'),
    ([VIEWS, '--policy', 'afa', 'best'], '--policy best: known are lfa, afa, geometric'),
    ([VIEWS, '--policy', 'afa', 'afa'], '--policy names afa twice'),
    ([VIEWS, '--epochs', 0], '--epochs must be at least 1, but is 0'),
    ([VIEWS, '--epochs', 3, '--cfg-options', 'train_cfg.max_epochs=None', 'train_cfg.max_iters=9'],
     '--epochs: the config counts in iterations; set --cfg-options train_cfg.max_iters=N instead'),
    ([VIEWS, '--out', 'file'], '--out file is a file: name a folder'),
    ([VIEWS, '--cfg-options', 'compile=True'], 'compile of MMEngine does not go with freezing'),
])
def test_one_line_errors(run_tool, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    Path('file').write_text('kept')
    result = run_tool(TOOL, *args)
    assert result.code == 1 and message in result.err and result.err.count('\n') == 1
    assert Path('file').read_text() == 'kept' and not Path('work_dirs').exists()


def test_help_shows_an_example(run_tool):
    result = run_tool(TOOL, '--help')
    assert result.code == 0
    assert 'Example: python tools/analysis_tools/plan_freezing.py' in result.out

"""The command line of the cost benchmark."""
import json
from pathlib import Path

import mmdet
import pytest

ROOT = Path(__file__).resolve().parents[2]
MMDET = Path(mmdet.__file__).parent / '.mim/configs'
TOOL = 'analysis_tools/benchmark_freezing.py'
TOY = ROOT / 'configs/vitdet_afa_toy.py'
SMALL = ['--repeats', 1, '--batch', 2, '--cfg-options', 'model.backbone.depth=3',
         'model.backbone.global_attn_indexes=(2,)', 'model.backbone.embed_dim=24',
         'model.neck.in_channels=24']


@pytest.fixture(autouse=True)
def _few_pairs(monkeypatch):
    monkeypatch.setattr('mmfreeze.analysis.benchmark.measure.OVERHEAD_PAIRS', 1)


def test_toy_with_its_data(run_tool, in_tiny_toy):
    result = run_tool(TOOL, TOY, '--frozen', 2, *SMALL)
    assert result.code == 0, result.err
    assert 'the train pipeline of the config' in result.out and 'loading the batch' in result.out
    assert '| efficiency |' in result.out and 'LayerFreezingHook and freezing' in result.out
    written = json.loads(Path('work_dirs/benchmark_vitdet_afa_toy/benchmark.json').read_text())
    assert [count['num_frozen'] for count in written['counts']] == [0, 2]
    assert written['images'] == 2 and written['num_layers'] == 3
    assert Path('work_dirs/benchmark_vitdet_afa_toy/benchmark.png').is_file()


def test_stock_config_without_data(run_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'config.py'
    path.write_text("_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'\n"
                    'model = dict(backbone=dict(depth=18), neck=dict(in_channels=[64, 128, 256, '
                    '512]), train_cfg=dict(rpn_proposal=dict(max_per_img=20), rcnn=dict('
                    'sampler=dict(num=8))))\n'
                    "custom_hooks = [dict(type='LayerFreezingHook', layers=['backbone.layer3.*'],"
                    " policy=dict(type='LinearFreezing'))]\n")
    monkeypatch.setattr('mmfreeze.utils.configs.COCO_SIZE', (96, 100))
    result = run_tool(TOOL, path, '--frozen', 2, '--repeats', 1, '--batch', 1, '--out', 'out')
    assert result.code == 0, result.err
    assert 'noise of 96 x 128 pixels' in result.out and 'data/coco' in result.out
    written = json.loads(Path('out/benchmark.json').read_text())
    assert written['num_layers'] == 2 and written['load_seconds'] is None


@pytest.mark.parametrize('args, message', [
    (['absent.py'], 'there is no config absent.py'),
    ([TOY, '--frozen', 3, 13, *SMALL[:4]], '--frozen 13: the backbone has 12 freezable layers'),
    ([TOY, '--frozen', -1, *SMALL[:4]], 'numbers are 0 to 12'),
    ([TOY, '--frozen', 3, 6, 3, *SMALL[:4]], '--frozen 3 6 3 has a number twice'),
    ([TOY, '--batch', 0], '--batch must be at least 1, but is 0'),
    ([TOY, '--repeats', 0], '--repeats must be at least 1, but is 0'),
    ([TOY, '--batch', 9], 'no batch of 9 images: lower --batch'),
    ([TOY, '--amp'], '--amp needs a CUDA device'),
])
def test_one_line_errors(run_tool, in_tiny_toy, monkeypatch, args, message):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    result = run_tool(TOOL, *args)
    assert result.code == 1 and message in result.err and result.err.count('\n') == 1


def test_unknown_order(run_tool):
    result = run_tool(TOOL, MMDET / 'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py', '--batch', 1)
    assert result.code == 1 and 'order of its layers is not known' in result.err

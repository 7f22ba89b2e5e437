"""The table of layers of a config."""
import re
from pathlib import Path

import mmdet
import pytest

ROOT = Path(__file__).resolve().parents[2]
MMDET = Path(mmdet.__file__).parent / '.mim/configs'
TOOL = 'analysis_tools/print_layers.py'


def rows(out):
    """Parameters in thousands, GFLOPs and names of each layer."""
    found = re.findall(r'^ +\d+ +([\d,.]+) +([\d,.]+) +(\S.*)$', out, re.MULTILINE)
    return [(float(a.replace(',', '')), float(b.replace(',', '')), names) for a, b, names in found]


def test_own_config(run_tool):
    result = run_tool(TOOL, ROOT / 'configs/vitdet_lfa_toy.py')
    assert result.code == 0, result.err
    table = rows(result.out)
    assert len(table) == 12 and table[0][2].startswith('backbone.patch_embed, backbone.pos_embed')
    # A block in windows of 5 x 5 on the 10 x 10 map: linear layers, attention, relative positions.
    products = 100 * (12 * 96**2 + 2 * 25 * 96 + 10 * 96)
    assert table[1][1] == pytest.approx(2 * products / 1e9, abs=6e-4)
    assert '3 x 160 x 160' in result.out and 'compiled' not in result.out


def test_stock_config(run_tool):
    config = MMDET / 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
    result = run_tool(TOOL, config, '--cfg-options', 'model.backbone.frozen_stages=-1',
                      '--size', '224', '200')
    assert result.code == 0, result.err
    table = rows(result.out)
    assert len(table) == 16 and table[-1][2] == 'backbone.layer4.2'
    assert sum(row[0] for row in table) == pytest.approx(23508, abs=1)  # ResNet-50, no classifier
    assert '3 x 224 x 224' in result.out  # 200 is padded to a multiple of 32
    # 4.1 G products at 224 x 224 (He et al. 2016 count 3.8 with the stride elsewhere).
    assert sum(row[1] for row in table) == pytest.approx(2 * 4.09, abs=.05)


def test_given_patterns_and_those_of_the_hook(run_tool, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'\n"
                    "custom_hooks = [dict(type='LayerFreezingHook', layers=['backbone.layer3.*'],"
                    " policy=dict(type='LinearFreezing'))]\n")
    size = ['--size', '64', '64']
    assert len(rows(run_tool(TOOL, path, *size).out)) == 6
    given = run_tool(TOOL, path, *size, '--layers', 'backbone.conv1', 'backbone.layer4.*').out
    assert [names for *_, names in rows(given)][-1] == 'backbone.layer4.2'
    assert len(rows(given)) == 3


def test_ops_that_are_lacking(run_tool):
    result = run_tool(TOOL, MMDET / 'carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',
                      '--size', '64', '64')
    assert 'CARAFEPack needs an mmcv that was compiled, for carafe_backward' in result.out
    assert 'the carafe configs)' in result.out


def test_backbone_that_cannot_be_counted(run_tool):
    config = MMDET / 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
    result = run_tool(TOOL, config, '--cfg-options', 'model.backbone.in_channels=4')
    assert result.code == 0 and 'forward FLOPs are not known: ' in result.out
    assert 'backbone.layer4.2' in result.out


@pytest.mark.parametrize('args, message', [
    (['absent.py'], 'there is no config absent.py'),
    ([MMDET / 'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py'], 'order of its layers is not known'),
    ([ROOT / 'configs/vitdet_lfa_toy.py', '--layers', 'backbone.stage.*'], 'matches no submodule'),
])
def test_one_line_errors(run_tool, args, message):
    result = run_tool(TOOL, *args)
    assert result.code == 1 and message in result.err and result.err.count('\n') == 1

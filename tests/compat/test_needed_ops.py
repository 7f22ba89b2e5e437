"""Which modules of mmcv need ops that are not there."""
import sys
from types import ModuleType

import pytest
from mmcv.ops import CARAFEPack, DeformConv2dPack, MultiScaleDeformableAttention, RoIAlign
from torch import nn

from mmfreeze.compat.mmcv_ext import StandInExtension
from mmfreeze.compat.needed_ops import lacking_ops


@pytest.fixture
def stand_in(monkeypatch):
    extension = StandInExtension()
    monkeypatch.setitem(sys.modules, 'mmcv._ext', extension)
    return extension


def model():
    return nn.Sequential(
        nn.Conv2d(3, 8, 1), RoIAlign(7), CARAFEPack(8, 2), DeformConv2dPack(8, 8, 1),
        MultiScaleDeformableAttention(16))


def test_lacking_ops_are_named(stand_in):
    lacking = lacking_ops(model())
    assert list(lacking) == ['CARAFEPack']
    assert {'carafe_forward', 'carafe_backward'} <= set(lacking['CARAFEPack'])


def test_a_mode_that_is_lacking(stand_in):
    assert lacking_ops(nn.Sequential(RoIAlign(7, pool_mode='max'))) == {
        'RoIAlign': ["roi_align with pool_mode='max'"]}


def test_an_op_that_the_stand_in_gains_is_lacking_no_more(stand_in):
    for op in lacking_ops(model())['CARAFEPack']:
        setattr(stand_in, op, lambda: None)
    assert lacking_ops(model()) == {}


def test_nothing_is_lacking_in_a_compiled_mmcv(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', ModuleType('mmcv._ext'))
    assert lacking_ops(model()) == {}


@pytest.mark.parametrize('test_cfg, lacking', [
    (dict(score_thr=.05, nms=dict(type='soft_nms', iou_threshold=.5)), {'soft_nms': ['softnms']}),
    (dict(score_thr=.05, nms=dict(type='nms', iou_threshold=.5)), {}),
    (dict(rpn=dict(nms_pre=1000), rcnn=dict(nms=dict(type='soft_nms'))), {}),  # a head has its own
    (dict(max_per_img=300), {}),
    (dict(nms=None), {}),
    (None, {}),
])
def test_the_nms_of_a_head_counts(stand_in, test_cfg, lacking):
    model = nn.Sequential(nn.Linear(1, 1))
    model[0].test_cfg = test_cfg
    assert lacking_ops(model) == lacking

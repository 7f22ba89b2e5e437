"""Which modules of mmcv need ops that are not there."""
import sys
from types import ModuleType

import pytest
from mmcv.ops import CARAFEPack, RoIAlign
from torch import nn

from mmfreeze.compat.mmcv_ext import StandInExtension
from mmfreeze.compat.needed_ops import lacking_ops


@pytest.fixture
def stand_in(monkeypatch):
    extension = StandInExtension()
    monkeypatch.setitem(sys.modules, 'mmcv._ext', extension)
    return extension


def model():
    return nn.Sequential(nn.Conv2d(3, 8, 1), RoIAlign(7), CARAFEPack(8, 2))


def test_lacking_ops_are_named(stand_in):
    lacking = lacking_ops(model())
    assert list(lacking) == ['CARAFEPack']
    assert {'carafe_forward', 'carafe_backward'} <= set(lacking['CARAFEPack'])


def test_an_op_that_the_stand_in_gains_is_lacking_no_more(stand_in):
    for op in lacking_ops(model())['CARAFEPack']:
        setattr(stand_in, op, lambda: None)
    assert lacking_ops(model()) == {}


def test_nothing_is_lacking_in_a_compiled_mmcv(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', ModuleType('mmcv._ext'))
    assert lacking_ops(model()) == {}

"""When the stand-in takes the place of ``mmcv._ext``, and what it answers."""
import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

import pytest
import torch
from mmengine.utils.dl_utils import mmcv_full_available

from mmfreeze.compat.mmcv_ext import StandInExtension, install_stand_in  # isort: skip  before mmcv
import mmcv.ops
from mmcv.utils import collect_env

# Where mmcv has compiled ops the stand-in has no place.
opsless = pytest.mark.skipif(
    not isinstance(sys.modules.get('mmcv._ext'), StandInExtension), reason='mmcv has compiled ops')


class CompiledMmcv(MetaPathFinder, Loader):
    """Finder of a module that behaves like a compiled ``mmcv._ext`` on disk."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == 'mmcv._ext' else None

    def exec_module(self, module):
        module.compiled = True


@opsless
def test_stand_in_where_ops_are_missing():
    assert mmcv_full_available()
    before = sys.modules['mmcv._ext']
    install_stand_in()
    assert sys.modules['mmcv._ext'] is before


def test_compiled_ops_stay(monkeypatch):
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)
    monkeypatch.setattr(sys, 'meta_path', [CompiledMmcv(), *sys.meta_path])
    install_stand_in()
    assert 'mmcv._ext' not in sys.modules  # not even imported
    assert importlib.import_module('mmcv._ext').compiled
    install_stand_in()
    assert sys.modules['mmcv._ext'].compiled


@opsless
@pytest.mark.parametrize('op, call', [
    ('softnms', lambda x: mmcv.ops.soft_nms(x, x[:, 0])),
    ('nms_rotated', lambda x: mmcv.ops.nms_rotated(torch.rand(2, 5), x[:, 0], .5)),
    ('softmax_focal_loss_forward', lambda x: mmcv.ops.softmax_focal_loss(x, x[:, 0].long())),
    ('roi_pool_forward', lambda x: mmcv.ops.roi_pool(torch.rand(1, 1, 4, 4), torch.rand(2, 5), 2)),
    ('carafe_forward', lambda x: mmcv.ops.carafe(
        torch.rand(1, 1, 4, 4), torch.rand(1, 9, 8, 8), 3, 1, 2)),
    ("roi_align with pool_mode='max'", lambda x: mmcv.ops.roi_align(
        torch.rand(1, 1, 4, 4), torch.rand(2, 5), 2, 1., 2, 'max')),
])
def test_other_ops_name_themselves_and_the_way_out(op, call):
    with pytest.raises(NotImplementedError) as error:
        call(torch.rand(2, 4))
    line = str(error.value)
    assert line.startswith(f'{op} is one of mmcv\'s compiled ops') and '\n' not in line
    assert 'pip install' in line and 'onedl-mmcv' in line


@opsless
def test_environment_report():
    assert 'mmfreeze' in collect_env()['MMCV Compiler']

"""Errors of ops that have no stand-in."""
import re
from pathlib import Path

import pytest

import mmfreeze  # noqa: F401  isort: skip  puts the ops in place, so before mmcv
import mmcv.ops
from mmfreeze.compat import ops
from mmfreeze.compat.ops.refusal import NEEDED_BY, unavailable


def ops_of_mmcv():
    sources = (path.read_text() for path in Path(mmcv.ops.__file__).parent.glob('*.py'))
    return {op for source in sources for op in re.findall(r'ext_module\.(\w+)\(', source)}


def test_the_table_speaks_of_ops_that_mmcv_has_and_that_are_lacking():
    lacking = ops_of_mmcv() - set(ops.__all__)
    for prefix in NEEDED_BY:
        assert prefix == 'roi_align with' or any(op.startswith(prefix) for op in lacking), prefix


def test_the_stand_ins_are_ops_of_mmcv():
    assert set(ops.__all__) <= ops_of_mmcv()


@pytest.mark.parametrize('op, user', [
    ('softnms', 'CornerNet'),
    ('carafe_forward', 'carafe configs'),
    ('nms_match', 'PISA'),
    ('line_nms_forward', 'CLRNet'),
    ('masked_im2col_forward', 'Guided Anchoring'),
    ('deform_roi_pool_forward', 'dpool'),
])
def test_the_error_says_what_needs_the_op(op, user):
    with pytest.raises(NotImplementedError) as error:
        unavailable(op)()
    assert str(error.value).startswith(f"{op} is one of mmcv's compiled ops (")
    assert user in str(error.value)


def test_an_op_that_no_detector_is_known_to_need_has_no_empty_brackets():
    with pytest.raises(NotImplementedError, match="^chamfer.* is one of mmcv's compiled ops, this"):
        unavailable('chamfer_distance_forward')()

"""What is said where one of mmcv's compiled ops has no stand-in, and who needs it."""
from typing import Callable, NoReturn, Optional

# Beginning of an op's name -> what of mmdet (or of its relatives) calls it.
NEEDED_BY = {
    'softnms': "nms=dict(type='soft_nms') in test_cfg: CornerNet, CentripetalNet, "
               'faster-rcnn_r50_fpn_soft-nms',
    'nms_match': 'ScoreHLRSampler: PISA',
    'nms_rotated': 'rotated boxes: mmrotate',
    'nms_quadri': 'quadrilateral boxes: mmrotate',
    'box_iou_rotated': 'rotated boxes: mmrotate',
    'line_nms': 'CLRHead: CLRNet',
    'carafe': 'FPN_CARAFE and the CARAFE upsampling of mask heads: the carafe configs',
    'masked_': 'MaskedConv2d: Guided Anchoring (GA-RPN, GA-RetinaNet) in prediction',
    'deform_roi_pool': 'DeformRoIPoolPack, ModulatedDeformRoIPoolPack: the dpool and mdpool '
                       'configs of DCN',
    'roi_pool': "roi_layer=dict(type='RoIPool')",
    'roi_align with': "roi_layer=dict(type='RoIAlign', pool_mode='max')",
}


# As it is called where it is refused; ``NEEDED_BY`` knows the beginning.
MAX_ALIGN = "roi_align with pool_mode='max'"


def user_of(op: str) -> Optional[str]:
    """Returns which models need an op, in words; None if that is not known."""
    return next((user for prefix, user in NEEDED_BY.items() if op.startswith(prefix)), None)


def unavailable(name: str) -> Callable[..., NoReturn]:
    """Returns what stands for a compiled op that has no stand-in: calling it raises.

    Args:
        name: Name of the op in mmcv's extension.
    """

    def op(*args, **kwargs) -> NoReturn:
        refuse(name)

    return op


def refuse(what: str) -> NoReturn:
    """Raises the error of an op, or a mode of one, that has no stand-in.

    Args:
        what: The op's name, with the mode behind it where it is only that.

    Raises:
        NotImplementedError: Always; it says what needs the op and how to compile mmcv.
    """
    user = user_of(what)
    needed = f' ({user})' if user else ''
    # Without build isolation the build sees torch and compiles; a cached wheel has no ops in it.
    raise NotImplementedError(
        f'{what} is one of mmcv\'s compiled ops{needed}, this mmcv has none, and mmfreeze does not '
        'stand in for this one. Choose a model that does without it, or compile mmcv: pip install '
        '--no-deps --no-build-isolation --no-cache-dir --force-reinstall onedl-mmcv')

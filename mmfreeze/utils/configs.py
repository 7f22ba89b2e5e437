"""What several tools read from a config, or change in it."""
from typing import Any, Dict, Optional, Sequence, Tuple

import torch
from mmengine.config import Config

HOOK = 'LayerFreezingHook'
# What most of MMDetection's configs resize the images of COCO to.
COCO_SIZE = (800, 1333)

# Which wrapper takes the place of which under --amp: freezing wrappers stay freezing wrappers.
AMP_WRAPPERS = dict(OptimWrapper='AmpOptimWrapper', FreezeOptimWrapper='AmpFreezeOptimWrapper')


def class_name(kind: Any) -> str:
    """A ``type`` without the scope that configs of MMPretrain give it (``mmdet.X``)."""
    return str(kind).rpartition('.')[2]


def freezing_hook(cfg: Config) -> Dict[str, Any]:
    """The config of a training's freezing hook; one that freezes nothing if it has none.

    Raises:
        ValueError: There are several.
    """
    found = [hook for hook in cfg.get('custom_hooks') or [] if class_name(hook['type']) == HOOK]
    if len(found) > 1:
        raise ValueError(f'custom_hooks has {HOOK} {len(found)} times')
    return found[0] if found else dict(type=f'mmdet.{HOOK}', policy=dict(type='NoFreezing'))


def configured_layers(cfg: Config) -> Optional[Sequence[str]]:
    """The patterns of the config's freezing hook, if it has one that names them."""
    return freezing_hook(cfg).get('layers')


def input_size(cfg: Config, size: Optional[Sequence[int]] = None) -> Tuple[int, int]:
    """Height and width of a padded image: as asked for, else the config's, else COCO's.

    The config's is ``model.backbone.img_size``, or where there is none ``image_size``.
    """
    if size is None:
        side = cfg.model.backbone.get('img_size')
        size = cfg.get('image_size', COCO_SIZE) if side is None else (side, side)
    divisor = cfg.model.get('data_preprocessor', {}).get('pad_size_divisor', 1)
    return tuple(-(-length // divisor) * divisor for length in size)


def enable_amp(cfg: Config) -> None:
    """Exchanges the optimizer wrapper for its mixed-precision counterpart.

    Args:
        cfg (Config): Changed in place.

    Raises:
        ValueError: There is no CUDA device, or no counterpart of the wrapper.
    """
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a CUDA device and there is none; leave --amp out')
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    name = class_name(kind)
    if name in AMP_WRAPPERS.values():
        return
    if name not in AMP_WRAPPERS:
        raise ValueError(f'--amp has no counterpart of optim_wrapper.type={kind!r}; it knows '
                         f'{", ".join(AMP_WRAPPERS)}')
    cfg.optim_wrapper.type = kind.removesuffix(name) + AMP_WRAPPERS[name]
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')

"""What a protocol refuses before anything is trained, as far as configs tell."""
from typing import List, Optional

from mmengine.config import Config

from mmfreeze.engine.pipelines import FIXED_AUGMENTS, SWITCHING, drawing_transform
from mmfreeze.utils.configs import class_name

from .schedule import num_epochs

LOOP = 'ExactEpochBasedTrainLoop'
# Settings of MMEngine that do not go with freezing, and what ViTDetBackbone has instead.
INSTEAD = dict(activation_checkpointing='with_cp=True', compile='compile_blocks=True')


def require_recorded(cfg: Config) -> None:
    """Refuses a training that can never be done: one is when its last epoch has been validated.

    Args:
        cfg (Config): The training.

    Raises:
        ValueError: It does not validate, or its loop does not make up for a validation in which it
            was stopped.
    """
    kind = class_name(cfg.train_cfg.get('type'))
    if kind != LOOP:
        raise ValueError(f'train_cfg.type is {kind}, but trainings are to go on exactly where they '
                         f'were stopped: set it to {LOOP}')
    if cfg.get('val_dataloader') is None:
        raise ValueError('val_dataloader is missing: every training is validated at its end')
    begin = cfg.train_cfg.get('val_begin', 1)
    if begin > num_epochs(cfg):
        raise ValueError(f'train_cfg.val_begin is {begin}, behind the last of {num_epochs(cfg)} '
                         'epochs, but every training is validated at its end: lower it')


def require_freezable(cfg: Config) -> None:
    """Refuses what goes with no policy that freezes.

    Raises:
        ValueError: MMEngine is to checkpoint activations or to compile the whole model.
    """
    for key, instead in INSTEAD.items():
        if cfg.get(key):
            raise ValueError(f'{key} of MMEngine does not go with freezing: remove it from the '
                             f'config; ViTDetBackbone has {instead}')


def require_replayable(cfg: Config, names: List[str]) -> None:
    """Refuses a training whose features cannot be stored.

    Args:
        cfg (Config): The training.
        names (list[str]): The rows that would store them.

    Raises:
        ValueError: It may show a sample in ways that do not come back.
    """
    drawing = _drawing(cfg)
    if drawing is not None:
        raise ValueError(
            f'{" and ".join(names)}: features are stored, but {drawing} may show a sample '
            'differently in each epoch: give a config with ReplayableViews instead, or leave '
            f'{"them" if len(names) > 1 else "it"} out of --policies')


def _drawing(cfg: Config) -> Optional[str]:
    transform = drawing_transform(cfg.train_dataloader['dataset'])
    if transform is not None:
        return f'{transform} in the training pipeline'
    for kind in _batch_augments(cfg):
        if kind not in FIXED_AUGMENTS:
            return f'{kind}, an augmentation of batches,'
    for hook in cfg.get('custom_hooks') or []:
        if class_name(hook['type']) in SWITCHING:
            return f'{class_name(hook["type"])} in custom_hooks'
    return None


def _batch_augments(cfg: Config) -> List[str]:
    """Types of the augmentations of batches: MMDetection's list, or MMPretrain's in three forms."""
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    found = (preprocessor.get('batch_augments')
             or (cfg.model.get('train_cfg') or {}).get('augments') or [])
    if isinstance(found, dict):
        found = found.get('augments', found)
    return [class_name(step['type']) for step in ([found] if isinstance(found, dict) else found)]

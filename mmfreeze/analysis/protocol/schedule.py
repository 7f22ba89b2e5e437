"""The same training in another number of epochs."""
import copy
from typing import Any, Dict, List

from mmengine.config import Config

from mmfreeze.utils.configs import class_name, freezing_hook

# Settings of MMEngine's schedulers that say when something happens.
POINTS, PERIODS, LISTS = ('begin', ), ('end', 'T_max', 'step_size', 'total_steps'), (
    'milestones', 'periods')
# What MMEngine takes for a schedule without end.
ENDLESS = 10**9
# Their course is told by a factor for each epoch, or by the results.
UNSCALABLE = ('ExponentialLR', 'ReduceOnPlateauLR')


def num_epochs(cfg: Config) -> int:
    """Epochs of a config's training.

    Raises:
        ValueError: It does not count in epochs.
    """
    epochs = cfg.train_cfg.get('max_epochs')
    if epochs is None:
        raise ValueError('train_cfg.max_epochs is missing: the record of a run, from which its '
                         'times are read, has epochs only in an epoch loop')
    return epochs


def schedulers(cfg: Config) -> List[Dict[str, Any]]:
    """The configs of a training's schedulers; changing them changes the config."""
    found = cfg.get('param_scheduler') or []
    return found if isinstance(found, list) else [found]


def with_epochs(cfg: Config, epochs: int) -> Config:
    """Stretches or compresses a training, its learning rates alike.

    Whatever a scheduler says in epochs or iterations is scaled and rounded, warm-ups too, also that
    of a freezing policy: the run is the same in small. Milestones that fall together act together.
    The interval of validations stays; the last epoch is validated, also if ``val_begin`` lay behind
    it.

    Args:
        cfg (Config): A training; it stays as it is.
        epochs (int): How many epochs it is to have, at least 1.

    Returns:
        Config: A copy.

    Raises:
        ValueError: It has no epochs, or a scheduler whose course does not follow from such
            settings.
    """
    factor = epochs / num_epochs(cfg)
    cfg = copy.deepcopy(cfg)
    cfg.train_cfg.max_epochs = epochs
    if 'val_begin' in cfg.train_cfg:  # or the last epoch would not be validated
        cfg.train_cfg.val_begin = min(cfg.train_cfg.val_begin, epochs)
    if factor == 1:
        return cfg
    policy = freezing_hook(cfg)['policy']
    if policy.get('warmup'):
        policy['warmup'] = round(policy['warmup'] * factor)
    for scheduler in schedulers(cfg):
        if class_name(scheduler['type']) in UNSCALABLE:
            raise ValueError(f'param_scheduler: {scheduler["type"]} cannot be fitted to another '
                             'number of epochs')
        for key in (*POINTS, *PERIODS, *LISTS):
            value = scheduler.get(key)
            if value is None:
                continue
            if key in LISTS:
                scheduler[key] = [max(1, round(point * factor)) for point in value]
            elif value < ENDLESS:
                scheduler[key] = max(int(key in PERIODS), round(value * factor))
    return cfg

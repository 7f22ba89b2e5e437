"""The rows of the protocol: which trainings are compared, as configs made from one."""
import copy
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from mmengine.config import Config, ConfigDict

from mmfreeze.analysis.benchmark.subject import FREEZING
from mmfreeze.utils.configs import HOOK, class_name, freezing_hook

from .refusals import require_freezable, require_recorded, require_replayable
from .schedule import num_epochs, schedulers

# Rows that train from stored features.
STORING = ('afa+store', 'learndrop')
# Policies that want gradients or set learning rates.
WRAPPED = ('afa', 'afa+store', 'freezeout')
# Rows whose seconds an un-frozen training with a compressed schedule is given, too.
HEADLINES = ('afa', 'afa+store')


class Row(NamedTuple):
    """Trainings that differ in their seed only.

    Args:
        name (str): As tables show it.
        config (Config): The training.
        time_of (str, optional): Name of the row into whose seconds the training is to be
            compressed, seed by seed. Defaults to None: it is as long as it is.
    """
    name: str
    config: Config
    time_of: Optional[str] = None

    @property
    def folder(self) -> str:
        """Name of the folder that holds its parts."""
        return self.name.replace("'s ", '_').replace(' ', '_')

    @property
    def needs(self) -> Tuple[str, ...]:
        """Names of the rows whose seconds have to be known before."""
        return () if self.time_of is None else ('base', self.time_of)

    @property
    def policy(self) -> str:
        """Type of its policy."""
        return freezing_hook(self.config)['policy']['type']


def make_rows(cfg: Config, policies: Sequence[str], num_layers: int,
              jittered: Optional[Config] = None) -> List[Row]:
    """Makes the rows of a protocol.

    Args:
        cfg (Config): An un-frozen training.
        policies (Sequence[str]): Names of :data:`POLICIES`. ``base`` is there without being named.
        num_layers (int): Number of freezable layers.
        jittered (Config, optional): Another un-frozen training, with the usual augmentation.
            Defaults to None: no such row.

    Returns:
        list[Row]: ``base``, the other policies as they were named, ``frozen`` (all layers from the
        first epoch on), the jittered one, and un-frozen trainings in the time of the headlines.

    Raises:
        ValueError: A policy is unknown or named twice, or a config does not suit.
    """
    policies = ['base', *(name for name in policies if name != 'base')]
    for name in policies:
        if name not in POLICIES:
            raise ValueError(f'--policies {name}: known are {", ".join(POLICIES)}')
        if policies.count(name) > 1:
            raise ValueError(f'--policies names {name} twice')
    require_recorded(cfg)
    require_freezable(cfg)
    storing = [name for name in policies if name in STORING]
    if storing:
        require_replayable(cfg, storing)
    rows = [Row(name, row_config(cfg, name)) for name in policies]
    rows.append(Row('frozen', _with_policy(
        cfg, dict(type='StaticFreezing', num_frozen=num_layers), 'frozen')))
    if jittered is not None:
        require_recorded(jittered)
        if num_epochs(jittered) != num_epochs(cfg):
            raise ValueError(f'the jittered config has {num_epochs(jittered)} epochs, the other '
                             f'one {num_epochs(cfg)}: say by --epochs how many both are to have')
        rows.append(Row('jittered base', row_config(jittered, 'base')))
    return rows + [Row(f"base in {name}'s time", rows[0].config, time_of=name)
                   for name in HEADLINES if name in policies]


def row_config(cfg: Config, name: str) -> Config:
    """The config of a row.

    Args:
        cfg (Config): An un-frozen training; it stays as it is.
        name (str): One of :data:`POLICIES`.

    Returns:
        Config: The same training under another policy, with what that needs: another optimizer
        wrapper, a store, or, for FreezeOut, no other annealing.

    Raises:
        ValueError: The config freezes already, or lacks what the policy needs.
    """
    cfg = _with_policy(cfg, POLICIES[name](cfg), name)
    if name in WRAPPED:
        kind = class_name(cfg.optim_wrapper.get('type', 'OptimWrapper'))
        if kind not in (*FREEZING, *FREEZING.values()):
            raise ValueError(f'optim_wrapper.type={kind!r} has no counterpart for {name}; those '
                             f'that have one: {", ".join(FREEZING)}')
        cfg.optim_wrapper.type = f'mmdet.{FREEZING.get(kind, kind)}'
    if name == 'freezeout':
        cfg.param_scheduler = _warm_ups(cfg)
    return cfg


def _with_policy(cfg: Config, policy: Dict[str, Any], row: str) -> Config:
    hook = copy.deepcopy(freezing_hook(cfg))
    was = class_name(hook['policy']['type'])
    if was != 'NoFreezing':
        raise ValueError(f'the config freezes by {was}: give the un-frozen one, from which all '
                         'rows are made')
    store = _store(row, hook.pop('store', None))
    hook['policy'] = policy
    if store is not None:
        hook['store'] = store
    cfg = copy.deepcopy(cfg)
    others = [other for other in cfg.get('custom_hooks') or []
              if class_name(other['type']) != HOOK]
    cfg.custom_hooks = [ConfigDict(hook), *others]
    return cfg


def _store(row: str, was: Any) -> Any:
    """The store of a row, with the config's own settings where it has some."""
    was = dict(when=was) if isinstance(was, str) else dict(was or {})
    if row == 'afa+store':
        return dict(was, when='auto') if was else 'auto'
    if row == 'learndrop':
        return dict(dict(where='ram'), **was)
    return None


def _learn_and_drop(cfg: Config) -> Dict[str, Any]:
    # tau is chosen; a thirteenth of the run is LFA's step at 12 layers, and covers the warm-up.
    return dict(type='LearnAndDrop', tau=.5, warmup=max(1, num_epochs(cfg) // 13))


def _freezeout(cfg: Config) -> Dict[str, Any]:
    if class_name(cfg.optim_wrapper.get('constructor')) != 'LayerGroupsConstructor':
        raise ValueError("freezeout needs optim_wrapper.constructor='LayerGroupsConstructor', and "
                         'all rows alike, for it says what decays: set it in the config')
    warm_up = max((scheduler['end'] for scheduler in _warm_ups(cfg)), default=0)
    sgd = class_name(cfg.optim_wrapper.optimizer.type) == 'SGD'
    return dict(type='FreezeOut', scaled=sgd, warmup=warm_up)


def _warm_ups(cfg: Config) -> List[Dict[str, Any]]:
    """Those schedulers that only warm up: FreezeOut is the annealing."""
    found = [scheduler for scheduler in schedulers(cfg)
             if class_name(scheduler['type']) in ('LinearLR', 'ConstantLR', 'QuadraticWarmupLR')
             and scheduler.get('end_factor', 1) == 1]
    for scheduler in found:
        if scheduler.get('by_epoch', True) or 'end' not in scheduler:
            raise ValueError(f'param_scheduler: freezeout needs to know the iterations of the '
                             f'warm-up: give {scheduler["type"]} by_epoch=False and end')
    return found


# What each policy is, given the un-frozen training.
POLICIES: Dict[str, Callable[[Config], Dict[str, Any]]] = {
    'base': lambda cfg: dict(type='NoFreezing'),
    'lfa': lambda cfg: dict(type='LinearFreezing'),
    'afa': lambda cfg: dict(type='AdaptiveFreezing'),
    'geometric': lambda cfg: dict(type='GeometricFreezing'),
    'afa+store': lambda cfg: dict(type='AdaptiveFreezing'),
    'freezeout': _freezeout,
    'learndrop': _learn_and_drop,
}

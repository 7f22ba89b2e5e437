"""Which policies are planned: the config's own, and those that it could have instead."""
import copy
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from mmdet.registry import TASK_UTILS
from mmengine.config import Config

from mmfreeze.analysis.protocol.rows import POLICIES, row_config
from mmfreeze.engine.stored_prefix import StoredPrefix
from mmfreeze.freezing import FreezePolicy
from mmfreeze.utils.configs import class_name, freezing_hook

# What a config's own policy is called.
OWN = 'config'
STATIC = 'frozen'
KNOWN = (*(name for name in POLICIES if name != 'base'), STATIC)


class PlannedRow(NamedTuple):
    """A policy to plan.

    Args:
        name (str): As tables show it.
        policy (dict): Its config.
        store (dict, optional): Settings of its store. Defaults to None: there is none.
    """
    name: str
    policy: Dict[str, Any]
    store: Optional[Dict[str, Any]] = None

    @property
    def when(self) -> Optional[str]:
        """When it stores, see ``StoredPrefix``; None if it never does."""
        return None if self.store is None else self.store.get('when', 'always')

    def build(self) -> FreezePolicy:
        """Builds the policy.

        Raises:
            ValueError: A setting of it is wrong.
        """
        # Policies are in mmdet's registry, whichever scope the config is of.
        return TASK_UTILS.build(dict(self.policy, _scope_='mmdet'))


def planned_rows(cfg: Config, names: Optional[Sequence[str]], num_layers: int
                 ) -> Tuple[List[PlannedRow], Dict[str, str]]:
    """Finds the policies to plan.

    Args:
        cfg (Config): A training, which may freeze already.
        names (Sequence[str], optional): Some of :data:`KNOWN`. Defaults to None: all of them.
        num_layers (int): Number of freezable layers.

    Returns:
        tuple[list[PlannedRow], dict[str, str]]: The config's own, if it freezes, and the others;
        and of those that do not suit the config, why.

    Raises:
        ValueError: A name is unknown or there twice, or a setting of a policy or a store is wrong.
    """
    for name in names or ():
        if name not in KNOWN:
            raise ValueError(f'--policy {name}: known are {", ".join(KNOWN)}')
        if names.count(name) > 1:
            raise ValueError(f'--policy names {name} twice')
    own = _row(OWN, cfg)
    rows = [] if class_name(own.policy['type']) == 'NoFreezing' else [own]
    thawed = copy.deepcopy(cfg)
    hook = freezing_hook(thawed)
    hook['policy'] = dict(type='NoFreezing')
    unsuited = {}
    for name in names or KNOWN:
        try:
            row = (PlannedRow(STATIC, dict(type='StaticFreezing', num_frozen=num_layers))
                   if name == STATIC else _row(name, row_config(thawed, name)))
        except ValueError as error:
            unsuited[name] = str(error)
            continue
        if not rows or rows[0].name != OWN or row[1:] != own[1:]:
            rows.append(row)
    for row in rows:  # their mistakes show here, before anything is measured
        row.build()
        StoredPrefix(**row.store or {})
    return rows, unsuited


def _row(name: str, cfg: Config) -> PlannedRow:
    hook = freezing_hook(cfg)
    store = hook.get('store')
    policy = dict(hook['policy'])
    return PlannedRow(name, dict(policy, type=class_name(policy['type'])),
                      dict(when=store) if isinstance(store, str) else store and dict(store))

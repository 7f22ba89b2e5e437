"""Which of mmcv's compiled ops a model needs that the stand-in lacks."""
import inspect
import re
import sys
from typing import Any, Dict, List, Optional, Set

import mmcv.ops
from torch import nn

from .mmcv_ext import StandInExtension
from .ops.refusal import MAX_ALIGN


def lacking_ops(model: nn.Module) -> Dict[str, List[str]]:
    """Looks for what needs compiled ops that are not there, in a model's modules and ``test_cfg``.

    Seen are the modules of ``mmcv.ops`` (and RoIAlign's max mode) and the kind of suppression that
    the ``test_cfg`` of any module names (``nms=dict(type='soft_nms')``). Functions that losses and
    samplers call stay unseen; the errors of their ops tell what they belong to.

    Args:
        model (nn.Module): A detector.

    Returns:
        dict[str, list[str]]: The lacking ops by the class or the nms that needs them; empty with
        an mmcv that was compiled.
    """
    extension = sys.modules.get('mmcv._ext')
    if not isinstance(extension, StandInExtension):
        return {}
    users: Dict[str, Any] = {}
    of_modes: Dict[str, List[str]] = {}
    for module in model.modules():
        kind = type(module)
        if kind.__module__.startswith('mmcv.ops.'):
            # The whole file, as a module's ops are called by a Function beside it.
            users[kind.__name__] = sys.modules[kind.__module__]
        if getattr(module, 'pool_mode', 'avg') == 'max':
            of_modes[kind.__name__] = [MAX_ALIGN]
        nms = _named_nms(module)
        if nms is not None:
            users[nms] = getattr(mmcv.ops, nms)
    lacking = {name: sorted(_called_ops(users[name]) - set(vars(extension)))
               for name in sorted(users)}
    return {**{name: ops for name, ops in lacking.items() if ops}, **of_modes}


def _named_nms(module: nn.Module) -> Optional[str]:
    """Returns the function's name in mmcv.ops that a module's ``test_cfg`` gives, if any."""
    nms = (getattr(module, 'test_cfg', None) or {}).get('nms') or {}
    name = nms.get('type')
    return name if isinstance(name, str) and hasattr(mmcv.ops, name) else None


def _called_ops(user: Any) -> Set[str]:
    return set(re.findall(r'ext_module\.(\w+)\(', inspect.getsource(user)))

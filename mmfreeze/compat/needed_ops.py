"""Which of mmcv's compiled ops a model needs that the stand-in lacks."""
import inspect
import re
import sys
from typing import Dict, List

from torch import nn

from .mmcv_ext import StandInExtension


def lacking_ops(model: nn.Module) -> Dict[str, List[str]]:
    """Looks for modules of ``mmcv.ops`` in a model whose compiled ops are not there.

    Functions that losses and post-processing call (soft-nms, for example) are no modules and stay
    unseen.

    Args:
        model (nn.Module): A detector.

    Returns:
        dict[str, list[str]]: The lacking ops by the class that needs them; empty with an mmcv that
        was compiled.
    """
    extension = sys.modules.get('mmcv._ext')
    if not isinstance(extension, StandInExtension):
        return {}
    kinds = {type(module) for module in model.modules()
             if type(module).__module__.startswith('mmcv.ops.')}
    lacking = {}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        source = inspect.getsource(sys.modules[kind.__module__])
        called = set(re.findall(r'ext_module\.(\w+)\(', source))
        lacking[kind.__name__] = sorted(called - set(vars(extension)))
    return {name: ops for name, ops in lacking.items() if ops}

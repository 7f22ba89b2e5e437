"""A stand-in for ``mmcv._ext``, the compiled module that an mmcv installed by plain pip lacks."""
import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from . import ops
from .ops.refusal import unavailable

_NAME = 'mmcv._ext'

# mmdet modules that replace an op which they could not import by one that raises, and that may
# have been imported before mmfreeze (``from mmdet.apis import DetInferencer`` does it).
_FALLBACKS = {
    'mmdet.apis.inference': 'RoIPool',
    'mmdet.evaluation.metrics.dump_odvg_results': 'batched_nms',
    'mmdet.structures.mask.structures': 'roi_align',
    'mmdet.utils.large_image': 'batched_nms',
}


class StandInExtension(ModuleType):
    """Module with the ops of :mod:`.ops`; any other op is there but raises when called.

    ``mmcv.ops`` asks for every op by name while it is imported, so all of them have to be there.
    """

    def __init__(self) -> None:
        super().__init__(_NAME, __doc__)
        # Without a spec mmengine's Runner dies in mmcv_full_available().
        self.__spec__ = ModuleSpec(_NAME, None, origin=ops.__name__)
        for name in ops.__all__:
            setattr(self, name, getattr(ops, name))
        # Not ops: mmcv prints these two with the environment.
        self.get_compiler_version = lambda: 'none (torchvision ops through mmfreeze)'
        self.get_compiling_cuda_version = lambda: 'none'

    def __getattr__(self, name: str) -> Any:
        if name.startswith('_'):  # what Python itself looks for on a module
            raise AttributeError(f'module {_NAME!r} has no attribute {name!r}')
        return unavailable(name)


def install_stand_in() -> None:
    """Puts the stand-in in the place of ``mmcv._ext``, unless there is a module of that name."""
    if find_spec(_NAME) is not None:
        return
    sys.modules[_NAME] = StandInExtension()
    for module, op in _FALLBACKS.items():
        if module in sys.modules:
            setattr(sys.modules[module], op, getattr(importlib.import_module('mmcv.ops'), op))

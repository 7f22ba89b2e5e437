"""Puts the freezing policies, which know nothing of MMEngine, into MMDetection's registry."""
from mmdet.registry import TASK_UTILS

from mmfreeze.freezing import (AdaptiveFreezing, FreezeOut, GeometricFreezing, LearnAndDrop,
                               LinearFreezing, NoFreezing, StaticFreezing)

for policy in (AdaptiveFreezing, FreezeOut, GeometricFreezing, LearnAndDrop, LinearFreezing,
               NoFreezing, StaticFreezing):
    TASK_UTILS.register_module(module=policy)

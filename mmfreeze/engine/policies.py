"""Puts the freezing policies, which know nothing of MMEngine, into MMDetection's registry."""
from mmdet.registry import TASK_UTILS

from mmfreeze.freezing import (AdaptiveFreezing, GeometricFreezing, LearnAndDrop, LinearFreezing,
                               NoFreezing, StaticFreezing)

for policy in (AdaptiveFreezing, GeometricFreezing, LearnAndDrop, LinearFreezing, NoFreezing,
               StaticFreezing):
    TASK_UTILS.register_module(module=policy)

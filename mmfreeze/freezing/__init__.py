"""The heart: layers, signals and policies. Imports torch, nothing of MMEngine or MMDetection."""
from .layers import LayerStack, declared_layers, is_part_of, match_layers
from .policies import (AdaptiveFreezing, Clock, Decision, FreezeOut, FreezePolicy,
                       GeometricFreezing, LinearFreezing, NoFreezing, SchedulePolicy,
                       StaticFreezing)
from .signals import GradNorm

__all__ = ['AdaptiveFreezing', 'Clock', 'Decision', 'FreezeOut', 'FreezePolicy',
           'GeometricFreezing', 'GradNorm', 'LayerStack', 'LinearFreezing', 'NoFreezing',
           'SchedulePolicy', 'StaticFreezing', 'declared_layers', 'is_part_of', 'match_layers']

"""The heart: layers, signals and policies. Imports torch, nothing of MMEngine or MMDetection."""
from .cut import PrefixCut
from .layers import LayerStack, called_modules, declared_layers, is_part_of, match_layers
from .policies import (AdaptiveFreezing, Clock, Decision, FreezeOut, FreezePolicy,
                       GeometricFreezing, LearnAndDrop, LinearFreezing, NoFreezing,
                       SchedulePolicy, StaticFreezing)
from .signals import GradNorm, WeightChange
from .store import FeatureStore

__all__ = ['AdaptiveFreezing', 'Clock', 'Decision', 'FeatureStore', 'FreezeOut', 'FreezePolicy',
           'GeometricFreezing', 'GradNorm', 'LayerStack', 'LearnAndDrop', 'LinearFreezing',
           'NoFreezing', 'PrefixCut', 'SchedulePolicy', 'StaticFreezing', 'WeightChange',
           'called_modules', 'declared_layers', 'is_part_of', 'match_layers']

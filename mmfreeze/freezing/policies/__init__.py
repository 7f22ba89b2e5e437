"""Freezing policies: plain Python, from progress and signals to a number of layers."""
from .adaptive import AdaptiveFreezing
from .base import Clock, Decision, FreezePolicy, SchedulePolicy
from .freezeout import FreezeOut
from .geometric import GeometricFreezing
from .learn_and_drop import LearnAndDrop
from .linear import LinearFreezing
from .static import NoFreezing, StaticFreezing

__all__ = ['AdaptiveFreezing', 'Clock', 'Decision', 'FreezeOut', 'FreezePolicy',
           'GeometricFreezing', 'LearnAndDrop', 'LinearFreezing', 'NoFreezing', 'SchedulePolicy',
           'StaticFreezing']

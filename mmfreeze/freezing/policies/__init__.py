"""Freezing policies: plain Python, from progress and signals to a number of layers."""
from .adaptive import AdaptiveFreezing
from .base import Clock, Decision, FreezePolicy, SchedulePolicy
from .geometric import GeometricFreezing
from .linear import LinearFreezing
from .static import NoFreezing, StaticFreezing

__all__ = ['AdaptiveFreezing', 'Clock', 'Decision', 'FreezePolicy', 'GeometricFreezing',
           'LinearFreezing', 'NoFreezing', 'SchedulePolicy', 'StaticFreezing']

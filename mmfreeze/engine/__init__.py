"""MMEngine adapters: when to freeze, and where the signals come from."""
from . import exact, policies
from .hooks import LayerFreezingHook
from .optimizers import AmpFreezeOptimWrapper, FreezeOptimWrapper, LayerGroupsConstructor

__all__ = ['AmpFreezeOptimWrapper', 'FreezeOptimWrapper', 'LayerFreezingHook',
           'LayerGroupsConstructor', 'exact', 'policies']

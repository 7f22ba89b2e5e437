"""Optimizer wrappers and the groups of parameters that they are built with."""
from .freeze_optim_wrapper import AmpFreezeOptimWrapper, FreezeOptimWrapper, GradSignalMixin
from .layer_groups import LayerGroupsConstructor
from .layer_rates import LayerRatesMixin, prepare_layer_rates

__all__ = ['AmpFreezeOptimWrapper', 'FreezeOptimWrapper', 'GradSignalMixin',
           'LayerGroupsConstructor', 'LayerRatesMixin', 'prepare_layer_rates']

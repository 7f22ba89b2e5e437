"""Hooks."""
from .layer_freezing_hook import LayerFreezingHook

__all__ = ['LayerFreezingHook']

"""Backbones."""
from .vitdet import ViTDetBackbone

__all__ = ['ViTDetBackbone']

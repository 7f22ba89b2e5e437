"""Detectors."""
from .float32_heads import Float32HeadsMixin
from .vitdet import ViTDet

__all__ = ['Float32HeadsMixin', 'ViTDet']

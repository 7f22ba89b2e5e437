"""Pipeline transforms."""
from .pad_to_size import PadToSize

__all__ = ['PadToSize']

"""Data preprocessors."""
from .stored_views import NoImages, StoredViewsPreprocessor

__all__ = ['NoImages', 'StoredViewsPreprocessor']

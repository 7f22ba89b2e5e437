"""Pipeline transforms."""
from .load_image_unless_stored import LoadImageUnlessStored
from .pad_to_size import PadToSize
from .replayable_views import ReplayableViews

__all__ = ['LoadImageUnlessStored', 'PadToSize', 'ReplayableViews']

"""mmfreeze freezes the settled layers of a detector's backbone while it trains.

Importing it puts a stand-in in the place of mmcv's compiled ops where they are missing and
registers its classes in ``mmdet.registry``: ``custom_imports = dict(imports=['mmfreeze'])``.
"""
from .compat.distributions import check_distributions

check_distributions()  # before the imports below can fail at one that is missing

from .compat.mmcv_ext import install_stand_in  # noqa: E402

install_stand_in()  # before the imports below reach mmcv.ops

from . import datasets, engine, evaluation, models  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models']

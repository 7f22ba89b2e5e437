"""What MMPretrain lacks for the classifiers of the configs: two backbones and a data set class.

Importing it registers them in ``mmpretrain.registry``:
``custom_imports = dict(imports=['mmfreeze', 'mmfreeze.classification'])``.
"""
from importlib.util import find_spec

if find_spec('mmpretrain') is None:
    # Not an ImportError, which mmengine's custom_imports would replace by an error of its own.
    raise RuntimeError('mmfreeze.classification needs mmpretrain, not installed here. Run: '
                       "pip install -e '.[mm,cls]' in mmfreeze's folder")

from .npz_dataset import NpzDataset  # noqa: E402
from .small_densenet import SmallDenseNet  # noqa: E402
from .wide_resnet import WideResNet  # noqa: E402

__all__ = ['NpzDataset', 'SmallDenseNet', 'WideResNet']

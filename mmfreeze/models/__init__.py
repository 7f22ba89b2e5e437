"""The models: importing registers them."""
from .backbones import ViTDetBackbone
from .data_preprocessors import StoredViewsPreprocessor
from .detectors import Float32HeadsMixin, ViTDet
from .layers import ChannelLayerNorm
from .necks import SimpleFeaturePyramid
from .weights import PretrainedViT

__all__ = [
    'ChannelLayerNorm', 'Float32HeadsMixin', 'PretrainedViT', 'SimpleFeaturePyramid',
    'StoredViewsPreprocessor', 'ViTDet', 'ViTDetBackbone'
]

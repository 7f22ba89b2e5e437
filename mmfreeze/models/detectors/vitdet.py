"""The detector of ViTDet."""
from mmdet.models.detectors import FasterRCNN
from mmdet.registry import MODELS

from .float32_heads import Float32HeadsMixin


@MODELS.register_module()
class ViTDet(Float32HeadsMixin, FasterRCNN):
    """Faster R-CNN, meant for a plain ViT backbone, whose heads stay in float32 under autocast.

    "Exploring Plain Vision Transformer Backbones for Object Detection" (arXiv 2203.16527). It takes
    the arguments of mmdet's ``FasterRCNN``.
    """

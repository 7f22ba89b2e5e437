"""DenseNet for small images."""
from mmpretrain.models import DenseNet
from mmpretrain.registry import MODELS
from torch import nn


@MODELS.register_module()
class SmallDenseNet(DenseNet):
    """MMPretrain's ``DenseNet`` with the first layer that the paper uses for CIFAR.

    One 3x3 convolution at full size takes the place of the 7x7 one with its norm and pooling,
    which would leave little of 32 pixels (Huang et al., arXiv 1608.06993, section 3). DenseNet-BC
    of depth L with growth rate k is ``arch=dict(growth_rate=k, depths=[(L - 4) // 6] * 3,
    init_channels=2 * k)``.

    Args:
        **kwargs: Those of ``DenseNet``.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        in_channels = self.stem[0].in_channels
        self.stem = nn.Conv2d(in_channels, self.init_channels, 3, padding=1, bias=False)

"""The neck of ViTDet."""
from typing import List, Optional, Tuple

import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import ChannelLayerNorm


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """A pyramid of feature maps made from the last map of a plain backbone alone.

    From "Exploring Plain Vision Transformer Backbones for Object Detection" (arXiv 2203.16527),
    section 3: the map is brought to 4, 2, 1 and 1/2 times its size, and each of the four passes a
    1x1 and a 3x3 convolution with layer norm. Coarser levels take every second position of the
    level before.

    Args:
        in_channels (int): Number of channels of the backbone's map; a multiple of 4.
        out_channels (int): Number of channels of every level.
        num_outs (int): Number of levels, at least 4. Defaults to 5.
        init_cfg (dict, optional): Start weights. Defaults to None.

    Raises:
        ValueError: ``num_outs`` is below 4 or ``in_channels`` is not a multiple of 4.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 num_outs: int = 5,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if num_outs < 4:
            raise ValueError(f'num_outs={num_outs}: a simple feature pyramid has at least 4 levels')
        if in_channels % 4:
            raise ValueError(f'in_channels={in_channels} is not a multiple of 4')
        half, quarter = in_channels // 2, in_channels // 4
        self.num_outs = num_outs
        self.levels = nn.ModuleList([
            nn.Sequential(
                nn.ConvTranspose2d(in_channels, half, 2, stride=2), ChannelLayerNorm(half),
                nn.GELU(), nn.ConvTranspose2d(half, quarter, 2, stride=2),
                *_to_output(quarter, out_channels)),
            nn.Sequential(
                nn.ConvTranspose2d(in_channels, half, 2, stride=2),
                *_to_output(half, out_channels)),
            nn.Sequential(*_to_output(in_channels, out_channels)),
            nn.Sequential(nn.MaxPool2d(2), *_to_output(in_channels, out_channels)),
        ])

    def forward(self, inputs: Tuple[Tensor]) -> Tuple[Tensor, ...]:
        """Builds the pyramid.

        Args:
            inputs (tuple[Tensor]): The one map of the backbone, of shape (B, in_channels, H, W).

        Returns:
            tuple[Tensor]: ``num_outs`` contiguous maps with ``out_channels`` channels, of heights
            4H, 2H, H, H / 2, H / 4 and so on; the first four round down, the rest round up.
        """
        x, = inputs
        # Contiguous, because compiled RoIAlign reads maps in channels-last order wrongly.
        outputs = [level(x).contiguous() for level in self.levels]
        while len(outputs) < self.num_outs:
            outputs.append(F.max_pool2d(outputs[-1], kernel_size=1, stride=2))
        return tuple(outputs)


def _to_output(in_channels: int, out_channels: int) -> List[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 1, bias=False), ChannelLayerNorm(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        ChannelLayerNorm(out_channels)
    ]

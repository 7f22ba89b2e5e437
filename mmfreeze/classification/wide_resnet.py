"""Wide residual networks for small images."""
from typing import List, Optional, Tuple

from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn


class PreActivationBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; norm and ReLU come before each convolution.

    Where the number of channels changes, the shortcut is a 1x1 convolution of the normed input.

    Args:
        in_channels (int): Number of input channels.
        out_channels (int): Number of output channels.
        stride (int): Of the first convolution and the shortcut.
        drop_rate (float): Dropout between the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(drop_rate)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: Optional[nn.Conv2d] = None
        if in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride)."""
        out = self.norm1(x).relu_()
        shortcut = x if self.shortcut is None else self.shortcut(out)
        out = self.norm2(self.conv1(out)).relu_()
        return shortcut + self.conv2(self.dropout(out))


@MODELS.register_module()
class WideResNet(BaseModule):
    """Residual network with pre-activation and ``widen_factor`` times as many channels.

    Zagoruyko, Komodakis: "Wide Residual Networks" (arXiv 1605.07146): WRN-40-4 is
    ``depth=40, widen_factor=4``. Three stages of (depth - 4) / 6 blocks with 16, 32 and 64 times
    ``widen_factor`` channels; the second and third halve the sides of the map.

    A block is a layer, and the first convolution joins the first one. The norm behind the last
    block is in no layer: it sees the sum of what all blocks add, so it goes on training with the
    classifier, as in the code of FreezeOut.

    Args:
        depth (int): Number of convolutions in a row and the classifier, 6 n + 4.
        widen_factor (int): Multiplies the number of channels of each stage.
        drop_rate (float): Dropout between the convolutions of a block. Defaults to 0.
        init_cfg (dict, optional): Start weights. Defaults to None: those of torch.

    Raises:
        ValueError: There is no such depth.
    """

    def __init__(self, depth: int, widen_factor: int, drop_rate: float = 0.,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if depth < 10 or depth % 6 != 4:
            raise ValueError(f'WideResNet: depth={depth} is not 6 n + 4, as 16, 28 or 40 are')
        channels = 16
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        for width, stride in ((16, 1), (32, 2), (64, 2)):
            for i in range((depth - 4) // 6):
                self.blocks.append(PreActivationBlock(channels, width * widen_factor,
                                                      1 if i else stride, drop_rate))
                channels = width * widen_factor
        self.norm = nn.BatchNorm2d(channels)

    def ordered_layers(self) -> List[Tuple[str, ...]]:
        """The layers that freezing counts, from the input on."""
        return [('stem', 'blocks.0'), *((f'blocks.{i}',) for i in range(1, len(self.blocks)))]

    def forward(self, x: Tensor) -> Tuple[Tensor]:
        """(B, 3, H, W) -> one map of (B, 64 * widen_factor, H / 4, W / 4)."""
        return (self.norm(self.blocks(self.stem(x))).relu_(),)

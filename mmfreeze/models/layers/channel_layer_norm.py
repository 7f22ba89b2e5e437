"""Layer norm over the channels of a feature map."""
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn


# In mmengine's own registry, as mmcv's norm layers are: build_norm_layer finds it in any scope.
@MODELS.register_module()
class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels at each position of a map, with one scale and shift per channel.

    Args:
        num_channels (int): Number of channels.
        eps (float): Added to the variance. Defaults to 1e-6.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__(num_channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises a map of shape (B, C, H, W)."""
        x = F.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)

import torch
from mmcv.cnn import ConvModule

from mmfreeze.models.layers import ChannelLayerNorm


def test_each_position_is_normalised_over_its_channels():
    norm = ChannelLayerNorm(5).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    mean = x.mean(dim=1, keepdim=True)
    std = (x.var(dim=1, keepdim=True, unbiased=False) + 1e-6).sqrt()
    expected = (x - mean) / std * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_conv_module_builds_it_by_name_in_any_scope():
    conv = ConvModule(3, 8, 1, norm_cfg=dict(type='ChannelLayerNorm', eps=1e-6))
    assert isinstance(conv.norm, ChannelLayerNorm)
    assert conv.norm.eps == 1e-6
    assert conv(torch.rand(1, 3, 4, 4)).shape == (1, 8, 4, 4)

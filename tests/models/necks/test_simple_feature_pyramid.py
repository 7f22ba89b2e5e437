import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import nn

from mmfreeze.models.necks import SimpleFeaturePyramid


@pytest.fixture
def neck() -> SimpleFeaturePyramid:
    neck = MODELS.build(dict(type='SimpleFeaturePyramid', in_channels=16, out_channels=8))
    for param in neck.parameters():
        nn.init.normal_(param, std=.3)
    return neck


@pytest.mark.parametrize('height, width', [(8, 8), (10, 6), (5, 7)])
def test_shapes(neck, height, width):
    outputs = neck((torch.randn(2, 16, height, width),))
    assert [tuple(o.shape) for o in outputs] == [
        (2, 8, 4 * height, 4 * width), (2, 8, 2 * height, 2 * width), (2, 8, height, width),
        (2, 8, height // 2, width // 2), (2, 8, -(-(height // 2) // 2), -(-(width // 2) // 2))]
    assert all(o.is_contiguous() for o in outputs)


def channel_norm(x, weight, bias):
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
    return x * weight[:, None, None] + bias[:, None, None]


def test_levels_equal_the_paper_written_out(neck):
    p = dict(neck.named_parameters())
    x = torch.randn(1, 16, 6, 6)

    def deconv(x, name):
        return F.conv_transpose2d(x, p[f'{name}.weight'], p[f'{name}.bias'], stride=2)

    def project(x, level, first):
        x = F.conv2d(x, p[f'levels.{level}.{first}.weight'])
        x = channel_norm(
            x, p[f'levels.{level}.{first + 1}.weight'], p[f'levels.{level}.{first + 1}.bias'])
        x = F.conv2d(x, p[f'levels.{level}.{first + 2}.weight'], padding=1)
        return channel_norm(
            x, p[f'levels.{level}.{first + 3}.weight'], p[f'levels.{level}.{first + 3}.bias'])

    twice = deconv(x, 'levels.0.0')
    twice = F.gelu(channel_norm(twice, p['levels.0.1.weight'], p['levels.0.1.bias']))
    coarse = project(F.max_pool2d(x, 2), 3, 1)
    expected = [
        project(deconv(twice, 'levels.0.3'), 0, 4), project(deconv(x, 'levels.1.0'), 1, 1),
        project(x, 2, 0), coarse, coarse[..., ::2, ::2]
    ]
    for output, wanted in zip(neck((x,)), expected, strict=True):
        torch.testing.assert_close(output, wanted, rtol=1e-5, atol=1e-5)


def test_number_of_levels():
    x = torch.randn(1, 16, 8, 8)
    for num_outs, sides in ((4, [32, 16, 8, 4]), (6, [32, 16, 8, 4, 2, 1])):
        neck = SimpleFeaturePyramid(in_channels=16, out_channels=8, num_outs=num_outs)
        assert [o.shape[-1] for o in neck((x,))] == sides


@pytest.mark.parametrize('kwargs, message', [
    (dict(in_channels=16, num_outs=3), 'num_outs=3'), (dict(in_channels=18), 'in_channels=18')])
def test_bad_sizes_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SimpleFeaturePyramid(out_channels=8, **kwargs)

"""DenseNet-BC for small images against the paper."""
import pytest
import torch

from mmfreeze.classification import SmallDenseNet


def bc_parameters(depth, growth, classes):
    """Weights of DenseNet-BC, from section 3 of the paper: 1x1 to 4 k, 3x3 to k, compression .5."""
    channels, total = 2 * growth, 27 * 2 * growth
    for block in range(3):
        for _ in range((depth - 4) // 6):
            total += 2 * channels + channels * 4 * growth + 2 * 4 * growth + 4 * growth * growth * 9
            channels += growth
        if block < 2:
            total += 2 * channels + channels * (channels // 2)
            channels //= 2
    return total + 2 * channels, (channels + 1) * classes


def small_densenet(depth, growth):
    return SmallDenseNet(arch=dict(growth_rate=growth, depths=[(depth - 4) // 6] * 3,
                                   init_channels=2 * growth))


@pytest.mark.parametrize('depth, growth, millions', [(100, 12, .8), (250, 24, 15.3),
                                                     (190, 40, 25.6), (76, 12, None)])
def test_number_of_parameters(depth, growth, millions):
    with torch.device('meta'):
        model = small_densenet(depth, growth)
    backbone, classifier = bc_parameters(depth, growth, 10)
    assert sum(param.numel() for param in model.parameters()) == backbone
    if millions:  # printed in table 2
        assert round((backbone + classifier) / 1e6, 1) == millions


def test_small_images_keep_their_size_until_the_first_transition():
    model = small_densenet(16, 4)
    sizes = []
    for stage in model.stages:
        stage.register_forward_hook(lambda module, inputs, out: sizes.append(out.shape[-2:]))
    out, = model(torch.randn(2, 3, 32, 32))
    assert sizes == [(32, 32), (16, 16), (8, 8)]
    assert out.shape[0] == 2 and out.shape[2:] == (8, 8) and out.min() == 0


def test_first_convolution_follows_the_number_of_image_channels():
    model = SmallDenseNet(in_channels=1, arch=dict(growth_rate=4, depths=[1], init_channels=8))
    assert model.stem.weight.shape == (8, 1, 3, 3)

"""Which tensor of which module stands for a layer."""
import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from mmfreeze.analysis.similarity import LayerGrams, centred_gram
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing import LayerStack


class Block(nn.Module):
    """Spoils its input, and returns more than its features."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(x.mul_(2)), (1, 1)


class Backbone(nn.Module):
    def __init__(self, block=Block):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.norm, self.block, self.unused = nn.BatchNorm1d(3), block(), nn.Linear(3, 3)

    def forward(self, x):
        return self.block(self.second(self.norm(self.first(x))))[0]


def stack_of(model, *layers):
    return LayerStack(model, [[f'backbone.{name}' for name in names] for names in layers])


def model_of(backbone):
    model = nn.Module()
    model.backbone = backbone
    return model


def test_the_last_called_module_of_each_layer_before_others_change_it():
    model = model_of(Backbone())
    model.train()
    # By name the second layer would end with its first module.
    stack = stack_of(model, ['first'], ['second', 'norm'], ['block'])
    images = torch.randn(5, 3)
    grams = LayerGrams(model, stack)(images)
    backbone = model.backbone
    assert backbone.norm.num_batches_tracked == 0 and backbone.norm.training
    backbone.eval()
    x = backbone.first(images)
    after_norm = backbone.second(backbone.norm(x))
    expected = [x, after_norm, backbone.block(after_norm.clone())[0]]
    for gram, features in zip(grams, expected, strict=True):
        assert torch.equal(gram, centred_gram(features))
    assert not any(module._forward_hooks for module in model.modules())


def test_resnet():
    with torch.random.fork_rng():
        model = model_of(MODELS.build(dict(type='mmdet.ResNet', depth=18, base_channels=8,
                                           stem_channels=8, frozen_stages=-1)))
    stack = build_stack(model)
    images = torch.randn(4, 3, 64, 64)
    grams = LayerGrams(model, stack)(images)
    assert grams.shape == (8, 4, 4)
    model.eval()
    # The outputs of the four stages, before anything changes them.
    with torch.no_grad():
        for stage, output in enumerate(model.backbone(images)):
            assert torch.allclose(grams[2 * stage + 1], centred_gram(output))


class OfWindows(nn.Module):
    """Returns windows, of which an image has several."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(x).repeat(2, 1), None


def test_layers_that_cannot_be_compared_are_named():
    model = model_of(Backbone())
    with pytest.raises(ValueError, match=r'layer 1 \(backbone.unused\) is not called .* Backbone'):
        LayerGrams(model, stack_of(model, ['first'], ['unused']))(torch.randn(4, 3))
    model = model_of(Backbone(OfWindows))
    with pytest.raises(ValueError, match=r'layer 1 \(backbone.block\) returns \(8, 3\); .* 4 im'):
        LayerGrams(model, stack_of(model, ['first'], ['block']))(torch.randn(4, 3))

"""A model that is fed with stored features does what it does without; no dropped layer is called."""
import pytest
import torch
from mmdet.models.backbones import ResNet, SwinTransformer
from torch import nn

from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing import LayerStack, PrefixCut
from mmfreeze.models import ViTDetBackbone


class Detector(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def vit(**kwargs):
    return ViTDetBackbone(img_size=64, patch_size=16, embed_dim=24, depth=4, num_heads=2,
                          window_size=3, global_attn_indexes=(1, 3), **kwargs)


BACKBONES = {
    'vit': (vit, 4),
    'vit without positions': (lambda: vit(use_abs_pos=False), 4),
    'resnet50': (lambda: ResNet(50, base_channels=4), 16),
    'resnet18, last level': (lambda: ResNet(18, base_channels=4, out_indices=(3,)), 8),
    'deep stem': (lambda: ResNet(18, base_channels=4, stem_channels=8, deep_stem=True), 8),
}


def build(name):
    torch.manual_seed(0)
    make, num_layers = BACKBONES[name]
    model = Detector(make()).train()
    stack = build_stack(model)
    assert len(stack) == num_layers
    for param in model.parameters():  # also what starts from zero
        nn.init.normal_(param, std=.1)
    return model, stack


def calls_of(model, stack):
    """Names of the layers' modules that are called, in the list that is returned."""
    called = []
    for layer, names in enumerate(stack.names):
        for name in names:
            module = dict(model.named_modules()).get(name)
            if module is not None:
                for inner in module.modules():
                    inner.register_forward_pre_hook(lambda *_, layer=layer: called.append(layer))
    return called


@pytest.mark.parametrize('name', BACKBONES)
def test_replayed_features_give_the_same_output_and_no_dropped_layer_is_called(name):
    model, stack = build(name)
    images = torch.randn(2, 3, 64, 64)
    keys = list(model.state_dict())
    for n in {1, 2, len(stack) // 2, len(stack) - 1, len(stack)}:
        cut = PrefixCut(model, stack, n, images)
        stack.freeze(max(n, stack.num_frozen))
        model.eval()
        features = cut.from_images(images)
        expected = model.backbone(images)
        called = calls_of(model, stack)
        with cut.replay(features):
            outputs = model.backbone(torch.zeros_like(images))
        assert set(called) == set(range(n, len(stack)))
        assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))
        assert list(model.state_dict()) == keys


@pytest.mark.parametrize('name', BACKBONES)
def test_features_follow_from_those_of_an_earlier_cut(name):
    model, stack = build(name)
    images = torch.randn(2, 3, 64, 64)
    first, second = (PrefixCut(model, stack, n, images) for n in (2, len(stack) - 1))
    model.eval()
    features = first.from_images(images)
    called = calls_of(model, stack)
    again = second.from_features(first, features)
    assert set(called) == set(range(2, len(stack) - 1))
    assert all(torch.equal(a, b) for a, b in zip(again, second.from_images(images), strict=True))


def test_levels_that_are_read_later_are_features_too():
    model, stack = build('resnet50')
    images = torch.randn(2, 3, 64, 64)
    # 3, 4, 6 and 3 blocks; a boundary at the end of a stage is a level itself
    levels = {n: [tuple(level.shape[1:]) for level in
                  PrefixCut(model, stack, n, images).from_images(images)] for n in (3, 5, 7, 8)}
    c2, c3, c4 = (16, 16, 16), (32, 8, 8), (64, 4, 4)
    assert levels == {3: [c2], 5: [c2, c3], 7: [c2, c3], 8: [c2, c3, c4]}


def test_a_training_step_gives_the_gradients_of_plain_freezing():
    grads = []
    for stored in (False, True):
        model, stack = build('resnet50')
        images = torch.randn(2, 3, 64, 64)
        cut = PrefixCut(model, stack, 6, images)
        stack.freeze(6)
        features = cut.from_images(images)
        with cut.replay(features) if stored else torch.enable_grad():
            sum(out.square().mean() for out in model.backbone(images)).backward()
        grads.append({name: p.grad for name, p in model.named_parameters()})
    assert sum(grad is not None for grad in grads[0].values()) > 20
    for name, grad in grads[0].items():
        assert grad is grads[1][name] is None or torch.equal(grad, grads[1][name]), name


def test_a_diverged_run_is_no_matter_of_the_backbone():
    model, stack = build('resnet50')
    torch.nn.init.constant_(model.backbone.layer4[2].bn3.bias, float('nan'))
    assert PrefixCut(model, stack, 5, torch.randn(2, 3, 64, 64)).num_layers == 5


def test_trying_a_cut_leaves_the_model_as_it_was():
    model, stack = build('resnet50')
    model.backbone.layer3.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    PrefixCut(model, stack, 5, torch.randn(2, 3, 64, 64))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Dense(nn.Module):
    """Each layer reads all earlier ones."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 * (i + 1), 3, 1) for i in range(4))

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return (x,)


class Skipping(nn.Module):
    """The last layer reads the first one as well, of the same shape, through a sum."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(4))

    def forward(self, x):
        first = self.layers[0](x)
        x = self.layers[2](self.layers[1](first))
        return (self.layers[3](x + first.mean((2, 3), keepdim=True)),)


@pytest.mark.parametrize('backbone', [
    Dense, Skipping, lambda: SwinTransformer(embed_dims=12, depths=(2, 2), num_heads=(1, 2),
                                             strides=(4, 2), out_indices=(0, 1), window_size=4)])
def test_backbones_whose_later_layers_read_more_are_refused(backbone):
    model = Detector(backbone())
    stack = (build_stack(model) if isinstance(model.backbone, SwinTransformer) else
             LayerStack.build(model, ['backbone.layers.*']))
    with pytest.raises(ValueError, match=r'cannot be cut behind its layer 2 .*train without store'):
        PrefixCut(model, stack, 3, torch.randn(2, 3, 64, 64))

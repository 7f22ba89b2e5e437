"""Each known order against the order in which the modules of the backbone really run."""
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope
from torch import nn

import mmfreeze.classification  # noqa: F401
from mmfreeze.engine.layer_orders import LAYER_ORDERS, build_stack
from mmfreeze.freezing import LayerStack

PVT = dict(embed_dims=8, num_heads=[1, 2, 2, 2], num_layers=[2, 1, 2, 1], mlp_ratios=[2, 2, 2, 2])
RES = dict(base_channels=8, stem_channels=8, frozen_stages=-1)
# The backbone, how many layers it has, and the modules with parameters that are in none of them.
OUTPUT_NORMS = {'norm0', 'norm1', 'norm2', 'norm3'}
BACKBONES = {
    'resnet': (dict(type='ResNet', depth=18, **RES), 8, set()),
    'group_norm': (dict(type='ResNet', depth=50, norm_cfg=dict(type='GN', num_groups=8), **RES),
                   16, set()),
    'three_stages': (dict(type='ResNet', depth=50, num_stages=3, strides=(1, 2, 2),
                          out_indices=(2,), dilations=(1, 1, 1), **RES), 13, set()),
    'resnet_v1d': (dict(type='ResNetV1d', depth=50, **RES), 16, set()),
    'resnext': (dict(type='ResNeXt', depth=50, groups=4, base_width=4, **RES), 16, set()),
    'resnest': (dict(type='ResNeSt', depth=50, **RES), 16, set()),
    'res2net': (dict(type='Res2Net', depth=50, scales=4, base_width=26, **RES), 16, set()),
    'regnet': (dict(type='RegNet', arch='regnetx_400mf', frozen_stages=-1), 22, set()),
    'swin': (dict(type='SwinTransformer', embed_dims=12, depths=(2, 2, 3, 2),
                  num_heads=(1, 2, 3, 4)), 9, OUTPUT_NORMS),
    'swin_positions': (dict(type='SwinTransformer', embed_dims=12, depths=(1, 1, 2, 1),
                            num_heads=(1, 2, 3, 4), pretrain_img_size=64, use_abs_pos_embed=True,
                            out_indices=(1, 3)), 5, {'norm1', 'norm3'}),
    'pvt': (dict(type='PyramidVisionTransformer', pretrain_img_size=64, **PVT), 6, set()),
    'pvt_v2': (dict(type='PyramidVisionTransformerV2', **PVT), 6, set()),
    'vgg': (dict(type='SSDVGG', depth=16, ceil_mode=True, out_indices=(3, 4),
                 out_feature_indices=(22, 34)), 15, set()),
    'convnext': (dict(type='mmpretrain.ConvNeXt', arch=dict(depths=[1, 1, 3, 1], channels=[8] * 4),
                      out_indices=(0, 1, 2, 3), gap_before_final_norm=False), 6, OUTPUT_NORMS),
    'cls_vgg': (dict(type='mmpretrain.VGG', depth=11, norm_cfg=dict(type='BN')), 8, set()),
    'cls_resnet': (dict(type='mmpretrain.ResNet', depth=50, base_channels=8, stem_channels=8), 16,
                   set()),
    'cls_deep_stem': (dict(type='mmpretrain.ResNet', depth=18, deep_stem=True, base_channels=8,
                           stem_channels=8), 8, set()),
    'cls_resnet_cifar': (dict(type='mmpretrain.ResNet_CIFAR', depth=18, base_channels=8,
                              stem_channels=8), 8, set()),
    'cls_densenet': (dict(type='mmpretrain.DenseNet', arch=dict(
        growth_rate=4, depths=[2, 1, 3], init_channels=8)), 6, {'transitions.2'}),
    'cls_small_densenet': (dict(type='mmpretrain.SmallDenseNet', arch=dict(
        growth_rate=4, depths=[2, 1, 3], init_channels=8)), 6, {'transitions.2'}),
    'cls_wide_resnet': (dict(type='mmpretrain.WideResNet', depth=16, widen_factor=1), 6, {'norm'}),
}


def is_outside(name, outside):
    return any(f'{name}.'.startswith(f'{top}.') for top in outside)


class Detector(nn.Module):
    """What a detector is to the layer orders: a backbone and something behind it."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Conv2d(1, 1, 1)


def build(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return Detector(MODELS.build(cfg))


def owners(model):
    """Modules that have parameters of their own, in the order in which they first run."""
    ran = []
    for name, module in model.backbone.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            module.register_forward_pre_hook(
                lambda *_, name=name: ran.append(name) if name not in ran else None)
    model.eval()
    with torch.no_grad():
        model.backbone(torch.randn(1, 3, 64, 64))
    return ran


@pytest.mark.parametrize('cfg, count, outside', BACKBONES.values(), ids=BACKBONES)
def test_order_is_that_of_the_forward_pass(cfg, count, outside):
    model = build(cfg)
    stack = build_stack(model)
    assert len(stack) == count
    layer_of = {}
    for layer, names in enumerate(stack.names):
        for name in names:
            name = name.removeprefix('backbone.')
            for inner in dict(model.backbone.named_modules()):
                if inner == name or inner.startswith(f'{name}.'):
                    assert inner not in layer_of
                    layer_of[inner] = layer
    ran = owners(model)
    # The backbone itself owns Swin's position table, which is used before all blocks.
    assert all(is_outside(name, outside) for name in ran if name and name not in layer_of)
    assert all(any(is_outside(name, {top}) for name in ran) for top in outside)
    layers = [layer_of[name] for name in ran if name in layer_of]
    assert layers == sorted(layers) and set(layers) == set(range(count))
    in_layers = sum(len(params) for params in stack.params)
    assert in_layers == sum(1 for name, _ in model.backbone.named_parameters()
                            if not is_outside(name, outside))


def test_nothing_upstream_of_a_trainable_layer_is_left_out():
    """With all of the chain frozen, the backward pass does not enter the backbone."""
    for cfg, count, outside in BACKBONES.values():
        model = build(cfg)
        model.train()
        build_stack(model).freeze(count)
        outputs = model.backbone(torch.randn(2, 3, 64, 64))
        reached = {name for name, param in model.backbone.named_parameters()
                   if param.requires_grad}
        assert all(is_outside(name, outside) for name in reached)
        for out in outputs if isinstance(outputs, (tuple, list)) else (outputs,):
            assert out.requires_grad == bool(reached)


def test_same_layers_as_by_patterns():
    cfg = BACKBONES['resnet'][0]
    model = build(dict(cfg, frozen_stages=1))
    patterns = ['backbone.conv1', 'backbone.bn1', 'backbone.layer*.*']
    stack, by_patterns = build_stack(model), LayerStack.build(model, patterns)
    assert stack.names == by_patterns.names and len(stack) == 6
    assert stack.frozen_by_model == by_patterns.frozen_by_model


def test_every_known_class_is_checked_above():
    kinds = [type(build(cfg).backbone) for cfg, *_ in BACKBONES.values()]
    checked = {f'{kind.__module__.partition(".")[0]}.{kind.__name__}' for kind in kinds}
    assert checked - {'mmfreeze.WideResNet'} == set(LAYER_ORDERS)  # which declares its own


def test_patterns_and_declarations_come_first():
    model = build(BACKBONES['resnet'][0])
    patterns = ['backbone.layer3.*']
    assert build_stack(model, patterns).names == [('backbone.layer3.0',), ('backbone.layer3.1',)]
    model.backbone.ordered_layers = lambda: [('conv1',), ('layer1',)]
    assert build_stack(model).names == [('backbone.conv1',), ('backbone.layer1',)]


@pytest.mark.parametrize('model', [
    build(dict(type='MobileNetV2')),
    Detector(type('ResNet', (nn.Sequential,), {})(nn.Linear(2, 2))),  # of another package
    nn.Sequential(nn.Linear(2, 2))])
def test_other_models_are_refused(model):
    with pytest.raises(ValueError, match='the order of its layers is not known'):
        build_stack(model)

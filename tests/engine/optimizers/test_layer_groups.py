import copy

import pytest
import torch
from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.optim import MultiStepLR, OptimWrapper
from torch import nn

from mmfreeze.engine.optimizers.layer_groups import LayerGroupsConstructor
from mmfreeze.models.backbones import ViTDetBackbone


class Detector(nn.Module):
    """A declaring backbone, a neck and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ViTDetBackbone(
            img_size=32, embed_dim=8, depth=3, num_heads=2, window_size=0, global_attn_indexes=())
        self.neck = nn.Conv2d(8, 4, 1)
        self.head = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2))


def build(model: nn.Module, paramwise_cfg=None, **optimizer) -> OptimWrapper:
    optimizer = {**dict(type='AdamW', lr=.1, weight_decay=.05), **optimizer}
    constructor = LayerGroupsConstructor(
        dict(type='OptimWrapper', optimizer=optimizer), paramwise_cfg)
    return constructor(model)


def settings(model: nn.Module, wrapper: OptimWrapper) -> dict:
    """(lr, weight decay, layer) of every parameter, by name."""
    names = {param: name for name, param in model.named_parameters()}
    return {names[param]: (group['lr'], group['weight_decay'], group['layer'])
            for group in wrapper.optimizer.param_groups for param in group['params']}


def test_table_of_rates_and_decay():
    model = Detector()
    table = settings(model, build(model, dict(layer_decay=.5)))
    expected = {
        'backbone.pos_embed': (.0125, 0, 0),
        'backbone.patch_embed.proj.weight': (.0125, .05, 0),
        'backbone.patch_embed.proj.bias': (.0125, 0, 0),
        'backbone.blocks.0.attn.qkv.weight': (.0125, .05, 0),
        'backbone.blocks.0.attn.rel_pos_h': (.0125, .05, 0),
        'backbone.blocks.0.norm1.weight': (.0125, 0, 0),
        'backbone.blocks.1.attn.rel_pos_w': (.025, .05, 1),
        'backbone.blocks.1.mlp.fc1.bias': (.025, 0, 1),
        'backbone.blocks.2.mlp.fc2.weight': (.05, .05, 2),
        'backbone.blocks.2.norm2.bias': (.05, 0, 2),
        'neck.weight': (.1, .05, 3),
        'neck.bias': (.1, 0, 3),
        'head.0.weight': (.1, 0, 3),
        'head.1.weight': (.1, .05, 3),
    }
    for name, wanted in expected.items():
        assert table[name] == pytest.approx(wanted), name


def test_rates_of_vit_b_at_decay_07():
    model = nn.Module()
    model.backbone = ViTDetBackbone(img_size=32, embed_dim=8, num_heads=2, window_size=0)
    model.head = nn.Linear(2, 2)
    groups = build(model, dict(layer_decay=.7), lr=1e-4).optimizer.param_groups
    rates = {group['layer']: group['lr'] for group in groups}
    wanted = [1.3841e-6, 1.9773e-6, 2.8248e-6, 4.0354e-6, 5.7648e-6, 8.2354e-6, 1.1765e-5,
              1.6807e-5, 2.4010e-5, 3.4300e-5, 4.9000e-5, 7.0000e-5, 1e-4]
    assert [rates[i] for i in range(13)] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize('paramwise_cfg', [None, {}, dict(layer_decay=1.)])
def test_groups_by_layer_at_equal_rates_without_decay(paramwise_cfg):
    model = Detector()
    groups = build(model, paramwise_cfg).optimizer.param_groups
    assert {group['lr'] for group in groups} == {.1}
    assert [group['name'] for group in groups] == [
        'rest', 'rest, no weight decay', 'layer 0', 'layer 0, no weight decay', 'layer 1',
        'layer 1, no weight decay', 'layer 2', 'layer 2, no weight decay']


def test_every_parameter_is_in_exactly_one_group():
    model = Detector()
    grouped = [id(param) for group in build(model).optimizer.param_groups
               for param in group['params']]
    assert sorted(grouped) == sorted(id(param) for param in model.parameters())


def test_what_the_model_froze_stays_out():
    model = Detector()
    model.backbone.blocks[0].requires_grad_(False)
    table = settings(model, build(model))
    assert table.keys() == {
        name for name, _ in model.named_parameters() if 'blocks.0' not in name}


def test_wrapped_model_is_unwrapped():
    model = Detector()
    wrapped = nn.Module()
    wrapped.module = model
    assert settings(model, build(wrapped, dict(layer_decay=.5)))['neck.weight'][2] == 3


def test_logged_rate_is_the_full_one_and_schedules_keep_the_ratios():
    model = Detector()
    wrapper = build(model, dict(layer_decay=.5))
    scheduler = MultiStepLR(wrapper, milestones=[1], gamma=.1, by_epoch=False)
    assert wrapper.get_lr()['base_lr'] == [.1]
    assert wrapper.get_lr()['lr'][0] == .1
    wrapper.optimizer.step()
    scheduler.step()
    assert wrapper.get_lr()['base_lr'] == pytest.approx([.01])
    assert wrapper.get_lr()['lr'] == pytest.approx(
        [.01, .01, .00125, .00125, .0025, .0025, .005, .005])


def test_state_comes_back():
    model = Detector()
    wrapper = build(model, dict(layer_decay=.5))
    for param in model.parameters():
        param.grad = torch.ones_like(param)
    wrapper.optimizer.step()
    for group in wrapper.optimizer.param_groups:
        group['lr'] *= .1
    other = build(model, dict(layer_decay=.5))
    other.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    for mine, theirs in zip(wrapper.optimizer.param_groups, other.optimizer.param_groups,
                            strict=True):
        assert (mine['name'], mine['layer'], mine['lr']) == (
            theirs['name'], theirs['layer'], theirs['lr'])
    for param in model.parameters():
        assert torch.equal(wrapper.optimizer.state[param]['exp_avg'],
                           other.optimizer.state[param]['exp_avg'])


def test_model_without_a_declaration_is_refused():
    with pytest.raises(ValueError, match=r'Sequential: the order.*Declare it in the backbone'):
        build(nn.Sequential(nn.Linear(2, 2)))


def test_parameter_in_two_layers_is_refused():
    model = Detector()
    model.backbone.ordered_layers = lambda: [('patch_embed', 'blocks'), ('blocks.1',)]
    with pytest.raises(ValueError, match=r'backbone.blocks.1.norm1.weight .*\[0, 1\]'):
        build(model)


@pytest.mark.parametrize('paramwise_cfg, message', [
    (dict(decay_rate=.7, num_layers=12), 'does not know decay_rate, num_layers'),
    (dict(layer_decay=0.), 'layer_decay=0.0'),
    (dict(layer_decay=1.2), 'layer_decay=1.2'),
])
def test_bad_settings_are_refused(paramwise_cfg, message):
    with pytest.raises(ValueError, match=message):
        build(Detector(), paramwise_cfg)


def test_missing_rate_is_refused():
    with pytest.raises(ValueError, match='optim_wrapper.optimizer.lr is missing'):
        LayerGroupsConstructor(dict(type='OptimWrapper', optimizer=dict(type='AdamW')))


def test_registered():
    assert OPTIM_WRAPPER_CONSTRUCTORS.get('LayerGroupsConstructor') is LayerGroupsConstructor


def test_named_layers():
    model = nn.Module()
    model.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    model.head = nn.Linear(2, 2)
    table = settings(model, build(model, dict(layer_decay=.5, layers=['blocks.*'])))
    assert table['blocks.0.weight'] == pytest.approx((.0125, .05, 0))
    assert table['head.bias'] == pytest.approx((.1, 0, 3))


def test_known_order_of_a_backbone_of_mmdet():
    """It declares nothing; the order is the one that freezing knows."""
    from mmdet.models.backbones import ResNet
    model = nn.Module()
    model.backbone = ResNet(18, stem_channels=8, base_channels=8, frozen_stages=-1)
    model.head = nn.Linear(2, 2)
    table = settings(model, build(model, dict(layer_decay=.5)))
    assert table['backbone.conv1.weight'] == pytest.approx((.1 * .5**8, .05, 0))
    assert table['backbone.layer1.0.bn1.bias'] == pytest.approx((.1 * .5**8, 0, 0))
    assert table['backbone.layer4.1.conv2.weight'] == pytest.approx((.05, .05, 7))
    assert table['head.weight'] == pytest.approx((.1, .05, 8))

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from mmfreeze.analysis.benchmark.encoders import segment_anything_twin
from mmfreeze.freezing import LayerStack
from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.layers.attention_kernels import KERNELS

SIZES = dict(embed_dim=32, depth=4, num_heads=2, window_size=3, global_attn_indexes=(1, 3))


def build(**kwargs) -> ViTDetBackbone:
    """A small backbone in which no table is zero."""
    backbone = ViTDetBackbone(**{**SIZES, **kwargs})
    for param in backbone.parameters():
        nn.init.normal_(param, std=.1)
    return backbone


@pytest.fixture(params=['the rule', *KERNELS])
def _kernel(request, monkeypatch):
    if request.param != 'the rule':
        monkeypatch.setattr('mmfreeze.models.layers.attention.choose_kernel',
                            lambda *_: request.param)


@pytest.mark.usefixtures('_kernel')
@pytest.mark.parametrize('img_size', [96, 128, 176])  # grids of 6 (no padding), 8 and 11
def test_same_numbers_as_segment_anything(img_size):
    backbone = build(img_size=img_size)
    encoder = segment_anything_twin(backbone, img_size, **SIZES)
    image = torch.randn(2, 3, img_size, img_size)
    output, = backbone(image)
    assert output.shape == (2, 32, img_size // 16, img_size // 16)
    assert output.is_contiguous()
    torch.testing.assert_close(output, encoder(image), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures('_kernel')
@pytest.mark.parametrize('size', [(96, 160), (64, 48), (208, 128)])
def test_same_numbers_as_segment_anything_on_other_shapes(size):
    """Global blocks interpolate their relative tables here, and windows are padded unevenly."""
    backbone = build(img_size=128, use_abs_pos=False)
    encoder = segment_anything_twin(backbone, 128, use_abs_pos=False, **SIZES)
    image = torch.randn(1, 3, *size)
    torch.testing.assert_close(backbone(image)[0], encoder(image), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures('_kernel')
def test_same_gradients_as_segment_anything():
    backbone = build(img_size=128).double()
    encoder = segment_anything_twin(backbone, 128, **SIZES).double()
    image = torch.randn(2, 3, 128, 128, dtype=torch.float64)
    weight = torch.randn(2, 32, 8, 8, dtype=torch.float64)
    (backbone(image)[0] * weight).sum().backward()
    (encoder(image) * weight).sum().backward()
    theirs = dict(encoder.named_parameters())
    for name, param in backbone.named_parameters():
        torch.testing.assert_close(
            param.grad, theirs[name.replace('fc', 'lin')].grad, rtol=1e-8, atol=1e-8,
            msg=lambda m: f'{name}: {m}')


def test_position_table_follows_the_input(bicubic):
    backbone = build(img_size=128)
    seen = []
    backbone.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    image = torch.randn(1, 3, 96, 160)
    backbone(image)
    table = torch.from_numpy(bicubic(backbone.pos_embed[0].detach().numpy(), 6, 10)).float()
    expected = backbone.patch_embed(image).permute(0, 2, 3, 1) + table
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-5)


def test_names_are_those_of_timm():
    names = {name for name, _ in build().named_parameters()}
    block = ['norm1.weight', 'norm1.bias', 'attn.qkv.weight', 'attn.qkv.bias', 'attn.proj.weight',
             'attn.proj.bias', 'attn.rel_pos_h', 'attn.rel_pos_w', 'norm2.weight', 'norm2.bias',
             'mlp.fc1.weight', 'mlp.fc1.bias', 'mlp.fc2.weight', 'mlp.fc2.bias']
    assert names == {'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias'} | {
        f'blocks.{i}.{name}' for i in range(4) for name in block}


@pytest.mark.parametrize('use_abs_pos', [True, False])
def test_ordered_layers_cover_every_parameter_once(use_abs_pos):
    backbone = build(use_abs_pos=use_abs_pos)
    layers = backbone.ordered_layers()
    stem = ('patch_embed', 'pos_embed') if use_abs_pos else ('patch_embed',)
    assert layers == [stem + ('blocks.0',), ('blocks.1',), ('blocks.2',), ('blocks.3',)]
    names = [name for layer in layers for name in layer]
    for param, _ in backbone.named_parameters():
        assert sum(param == name or param.startswith(f'{name}.') for name in names) == 1, param


def test_frozen_prefix_builds_no_graph():
    backbone = build(img_size=96).train()
    outputs = []
    for block in backbone.blocks:
        block.register_forward_hook(lambda module, args, output: outputs.append(output))
    saved, stack = [], LayerStack.build(backbone)
    image = torch.randn(1, 3, 96, 96)
    for num_layers in (0, 2, 3):
        outputs.clear()
        stack.freeze(num_layers)
        count = []
        with torch.autograd.graph.saved_tensors_hooks(
                lambda tensor: count.append(tensor) or tensor, lambda tensor: tensor):
            backbone(image)[0].sum().backward()
        assert [output.requires_grad for output in outputs] == [
            i >= num_layers for i in range(4)]
        saved.append(len(count))
    assert saved[0] > saved[1] > saved[2] > 0


def test_drop_path_rises_linearly_and_is_off_in_frozen_layers():
    backbone = build(img_size=96, drop_path_rate=.6).train()
    assert [round(block.drop_path.p, 6) for block in backbone.blocks] == [0, .2, .4, .6]
    image = torch.randn(8, 3, 96, 96)
    assert not torch.equal(backbone(image)[0], backbone(image)[0])
    stack = LayerStack.build(backbone)
    stack.freeze(4)
    backbone.train()  # as every loop does, before the hook freezes again
    stack.freeze(4)
    assert torch.equal(backbone(image)[0], backbone(image)[0])


def test_drop_path_skips_the_branches_of_whole_samples():
    block = build(drop_path_rate=.6).blocks[3].train()
    x = torch.randn(64, 6, 6, 32)
    skipped = (block(x) == x).flatten(1).float().mean(dim=1)
    assert set(skipped.tolist()) <= {0., 1.}
    assert 0 < skipped.sum() < 64  # both branches of a sample are skipped with probability .36


def test_no_windows_equals_one_window_over_the_map():
    whole = build(img_size=96, window_size=0)
    one = build(img_size=96, window_size=6)
    one.load_state_dict(whole.state_dict())
    image = torch.randn(1, 3, 96, 96)
    torch.testing.assert_close(whole(image)[0], one(image)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('size', [(100, 96), (96, 90)])
def test_input_that_does_not_divide_into_patches_is_refused(size):
    with pytest.raises(ValueError, match=r'(100 x 96|96 x 90).*pad_size_divisor'):
        build(img_size=96)(torch.randn(1, 3, *size))


@pytest.mark.parametrize('kwargs, message', [
    (dict(img_size=100), 'img_size=100.*patch_size=16'),
    (dict(num_heads=5), 'embed_dim=32.*num_heads=5'),
    (dict(global_attn_indexes=(1, 4)), r'global_attn_indexes: \[4\].*0 to 3'),
])
def test_sizes_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_registered():
    backbone = MODELS.build(dict(type='ViTDetBackbone', img_size=96, **SIZES))
    assert isinstance(backbone, ViTDetBackbone)

"""Every naming gives the features of the model that was written under it."""
import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN, PatchEmbed
from mmengine.logging import HistoryBuffer
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.weights import PretrainedViT, load_vit_weights, to_own_names

SMALL = dict(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, window_size=3,
             global_attn_indexes=(1,))
IMAGE = torch.linspace(-2, 2, 3 * 32 * 32).view(1, 3, 32, 32)


def own_model(use_rel_pos: bool) -> ViTDetBackbone:
    """A backbone in which no two tensors are alike."""
    model = ViTDetBackbone(use_rel_pos=use_rel_pos, **SMALL)
    generator = torch.Generator().manual_seed(1)
    for param in model.parameters():
        param.data = torch.randn(param.shape, generator=generator) / 3
    return model.eval()


def with_class_token(state: dict, prefix: str = '') -> dict:
    """The position table as classifiers keep it: a row for the class token, then row by row."""
    table = state.pop(f'{prefix}pos_embed').flatten(1, 2)
    state[f'{prefix}pos_embed'] = torch.cat([torch.full((1, 1, 16), 9.), table], dim=1)
    state[f'{prefix}cls_token'] = torch.full((1, 1, 16), 7.)
    return state


def timm(state):
    return with_class_token(dict(state)) | {
        'norm.weight': torch.ones(16), 'head.bias': torch.ones(5)}


def mae(state):
    return timm(state) | {
        'mask_token': torch.ones(1, 1, 8), 'decoder_pos_embed': torch.ones(1, 17, 8),
        'decoder_blocks.0.norm1.weight': torch.ones(8)}


def deit_distilled(state):
    state = timm(state)
    table = state['pos_embed']
    state['pos_embed'] = torch.cat([table[:, :1], table], dim=1)
    return state | {'dist_token': torch.ones(1, 1, 16)}


def detectron2(state):
    foreign = {'backbone.net.' + name: value for name, value in state.items()}
    foreign = with_class_token(foreign, 'backbone.net.')
    del foreign['backbone.net.cls_token']  # ViTDet keeps the row without the token
    return foreign | {'backbone.simfp_2.0.weight': torch.ones(3),
                      'proposal_generator.rpn_head.conv.weight': torch.ones(3)}


def mmdet_project(state):
    foreign = {'backbone.' + name: value for name, value in state.items()}
    return with_class_token(foreign, 'backbone.') | {'neck.convs.0.weight': torch.ones(3)}


def segment_anything(state):
    foreign = {}
    for name, value in state.items():
        name = name.replace('mlp.fc1', 'mlp.lin1').replace('mlp.fc2', 'mlp.lin2')
        foreign['image_encoder.' + name] = value
    return foreign | {'image_encoder.neck.0.weight': torch.ones(3),
                      'mask_decoder.iou_token.weight': torch.ones(3)}


def mmpretrain(state):
    words = dict(blocks='layers', norm1='ln1', norm2='ln2', mlp='ffn', fc1='layers.0.0',
                 fc2='layers.1', proj='projection')
    foreign = {}
    for name, value in state.items():
        parts = name.split('.')
        if 'attn' not in parts:
            parts = [words.get(part, part) for part in parts]
        else:
            parts[0] = 'layers'
        foreign['backbone.' + '.'.join(parts)] = value
    return with_class_token(foreign, 'backbone.') | {
        'backbone.ln1.weight': torch.ones(16), 'head.layers.head.weight': torch.ones(3)}


def split_qkv(weight_name, bias_name):
    def split(state):
        foreign = {}
        for name, value in state.items():
            if '.attn.qkv.' in name:
                start, _, kind = name.rpartition('.qkv.')
                for key, part in zip('qkv', value.chunk(3)):
                    spelling = weight_name if kind == 'weight' else bias_name
                    foreign[f'{start}.{spelling.format(key)}'] = part
            else:
                foreign[name] = value
        return foreign
    return split


NAMINGS = {
    'names of timm': [dict, timm, mae, deit_distilled, split_qkv('{}_proj.weight', '{}_bias'),
                      split_qkv('{}.weight', '{}.bias')],
    'names of timm under backbone.net': [detectron2],
    'names of timm under backbone': [mmdet_project],
    'names of segment-anything under image_encoder': [segment_anything],
    'names of mmpretrain under backbone': [mmpretrain],
}


@pytest.mark.parametrize('use_rel_pos', [False, True])
@pytest.mark.parametrize('naming, rename',
                         [(naming, rename) for naming, many in NAMINGS.items() for rename in many])
def test_round_trip(naming, rename, use_rel_pos, tmp_path):
    source, target = own_model(use_rel_pos), ViTDetBackbone(use_rel_pos=use_rel_pos, **SMALL).eval()
    path = tmp_path / 'foreign.pth'
    # As mmengine's runner writes it: more than tensors, but nothing that runs code.
    torch.save(dict(state_dict=rename(source.state_dict()), message_hub=HistoryBuffer([1.], [1]),
                    meta=dict(epoch=3)), path)
    assert not torch.equal(target(IMAGE)[0], source(IMAGE)[0])
    PretrainedViT(str(path))(target)
    assert torch.equal(target(IMAGE)[0], source(IMAGE)[0])
    assert to_own_names(rename(source.state_dict())).naming == naming


def test_what_is_no_part_of_the_backbone_is_reported():
    state = own_model(use_rel_pos=True).state_dict()
    report = load_vit_weights(ViTDetBackbone(**SMALL), detectron2(state))
    assert report.missing == [] and report.resized == []
    assert report.unexpected == ['backbone.simfp_2.0.weight',
                                 'proposal_generator.rpn_head.conv.weight']


def test_names_and_features_of_segment_anything_itself():
    encoder = ImageEncoderViT(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2,
                              use_rel_pos=True, window_size=3, global_attn_indexes=(1,)).eval()
    for block in encoder.blocks:
        nn.init.normal_(block.attn.rel_pos_h)
        nn.init.normal_(block.attn.rel_pos_w)
    nn.init.normal_(encoder.pos_embed)
    # Its own norms have the eps of PyTorch where its builders ask for 1e-6.
    for module in encoder.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
    model = ViTDetBackbone(**SMALL).eval()
    report = load_vit_weights(
        model, {f'image_encoder.{name}': value for name, value in encoder.state_dict().items()})
    assert report.missing == [] and all('.neck.' in name for name in report.unexpected)
    encoder.neck = nn.Identity()
    torch.testing.assert_close(model(IMAGE)[0], encoder(IMAGE))


def test_names_of_mmcvs_parts_in_mmpretrain():
    """mmpretrain's ViT takes its patch embedding and its MLP from mmcv."""
    patches = PatchEmbed(embed_dims=16, kernel_size=8, stride=8).state_dict()
    mlp = FFN(embed_dims=16, feedforward_channels=64).state_dict()
    assert set(patches) == {'projection.weight', 'projection.bias'}
    ours = set(own_model(False).state_dict())
    weights = {f'patch_embed.{name}': value for name, value in patches.items()}
    weights |= {f'layers.0.ffn.{name}': value for name, value in mlp.items()}
    tensors = to_own_names(weights).tensors
    assert tensors.keys() == {name for name in ours if 'patch_embed' in name
                              or 'blocks.0.mlp' in name}
    assert torch.equal(tensors['blocks.0.mlp.fc1.weight'], mlp['layers.0.0.weight'])


def test_absent_bias_of_the_key_is_zero():
    """BEiT and EVA keep q_bias and v_bias beside a fused weight."""
    state = own_model(use_rel_pos=False).state_dict()
    for i in range(2):
        q, _, v = state.pop(f'blocks.{i}.attn.qkv.bias').chunk(3)
        state |= {f'blocks.{i}.attn.q_bias': q, f'blocks.{i}.attn.v_bias': v}
    bias = to_own_names(state).tensors['blocks.1.attn.qkv.bias']
    assert torch.equal(bias, torch.cat([q, torch.zeros(16), v]))


def extra(*names):
    state = dict(own_model(use_rel_pos=False).state_dict())
    return state | {name: torch.ones(16) for name in names}


def lacking(*names):
    state = split_qkv('{}.weight', '{}.bias')(own_model(use_rel_pos=False).state_dict())
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize('weights, message', [
    (extra('blocks.0.ls1.gamma', 'blocks.1.ls1.gamma'),
     r'LayerScale \(blocks.\*.ls1.gamma \(2\)\)'),
    (extra('blocks.0.gamma_1'), r'LayerScale \(blocks.\*.gamma_1\)'),
    (mmpretrain(own_model(False).state_dict()) |
     {'backbone.layers.0.ffn.gamma2.weight': torch.ones(16)}, 'LayerScale'),
    (extra('blocks.0.attn.q_norm.weight'), r'not the blocks of a plain ViT: .*q_norm'),
    (extra('blocks.0.mlp.w12.weight'), r'not the blocks of a plain ViT: .*mlp.w12'),
    (dict(zip(['patch_embed.proj.weight', 'layers.0.blocks.0.norm1.weight'], torch.ones(2))),
     'not the blocks of a plain ViT'),
    (extra('teacher.patch_embed.proj.weight'), "2 ViTs in it, under '', 'teacher.'"),
    (lacking('blocks.1.attn.k.weight'), r'blocks.1.attn.qkv.weight: the file has q, v of it alone'),
    (extra('blocks.1.attn.k.weight'), r'blocks.1.attn.qkv.weight: the file has k of it alone'),
])
def test_another_network_is_refused(weights, message):
    with pytest.raises(ValueError, match=message) as error:
        to_own_names(weights)
    assert '\n' not in str(error.value)

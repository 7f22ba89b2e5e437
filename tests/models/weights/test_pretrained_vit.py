import json
import logging
import struct

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.weights import PretrainedViT, load_vit_weights, read_weights

SMALL = dict(img_size=32, embed_dim=8, depth=2, num_heads=2, window_size=0, global_attn_indexes=())


@pytest.fixture(scope='module')
def deit(shared_data):
    """File and arrays of DeiT-Tiny."""
    path = shared_data('vit_deit_tiny') / 'deit_tiny_patch16_224.npz'
    with np.load(path, allow_pickle=False) as arrays:
        return path, {name: arrays[name] for name in arrays.files}


def build_tiny(path, img_size: int, **kwargs) -> ViTDetBackbone:
    backbone = MODELS.build(dict(
        type='ViTDetBackbone', img_size=img_size, embed_dim=192, num_heads=3,
        init_cfg=dict(type='PretrainedViT', checkpoint=str(path)), **kwargs))
    backbone.init_weights()
    return backbone


def small_weights() -> dict:
    """Tensors that fit the small backbone, under timm names, with a class token."""
    state = {name: torch.randn(value.shape) for name, value in
             ViTDetBackbone(use_rel_pos=False, **SMALL).state_dict().items()}
    state['pos_embed'] = torch.randn(1, 5, 8)
    return dict(cls_token=torch.randn(1, 1, 8), **state)


def test_deit_loads_bit_by_bit(deit, bicubic):
    path, arrays = deit
    backbone = build_tiny(path, img_size=160, window_size=5)
    state = backbone.state_dict()
    for name, array in arrays.items():
        if name.startswith(('blocks.', 'patch_embed.')):
            assert np.array_equal(state[name].numpy(), array), name
    table = bicubic(arrays['pos_embed'][0, 1:].reshape(14, 14, 192), 10, 10)
    np.testing.assert_allclose(state['pos_embed'][0].numpy(), table, atol=1e-5)
    assert not any(value.any() for name, value in state.items() if 'rel_pos' in name)


def test_position_table_of_the_same_size_loads_bit_by_bit(deit):
    path, arrays = deit
    backbone = build_tiny(path, img_size=224)
    assert np.array_equal(
        backbone.pos_embed.detach().numpy().reshape(196, 192), arrays['pos_embed'][0, 1:])


def test_feature_map_equals_a_plain_vit(deit):
    """timm's forward pass written out for one image, but for its class token and last norm."""
    path, arrays = deit
    backbone = build_tiny(path, img_size=224, window_size=0, use_rel_pos=False).eval()
    w = {name: torch.from_numpy(array).double() for name, array in arrays.items()}
    image = torch.randn(3, 224, 224, dtype=torch.float64)
    patches = image.view(3, 14, 16, 14, 16).permute(1, 3, 0, 2, 4).reshape(196, 768)
    x = patches @ w['patch_embed.proj.weight'].view(192, 768).t() + w['patch_embed.proj.bias']
    x = x + w['pos_embed'][0, 1:]
    for i in range(12):
        p = {name.split('.', 2)[2]: value for name, value in w.items()
             if name.startswith(f'blocks.{i}.')}
        y = F.layer_norm(x, (192,), p['norm1.weight'], p['norm1.bias'], eps=1e-6)
        q, k, v = (y @ p['attn.qkv.weight'].t() + p['attn.qkv.bias']).view(196, 3, 3, 64).unbind(1)
        heads = []
        for head in range(3):
            scores = q[:, head] @ k[:, head].t() / 8
            heads.append(scores.softmax(dim=1) @ v[:, head])
        x = x + torch.cat(heads, dim=1) @ p['attn.proj.weight'].t() + p['attn.proj.bias']
        y = F.layer_norm(x, (192,), p['norm2.weight'], p['norm2.bias'], eps=1e-6)
        y = F.gelu(y @ p['mlp.fc1.weight'].t() + p['mlp.fc1.bias'])
        x = x + y @ p['mlp.fc2.weight'].t() + p['mlp.fc2.bias']
    output = backbone.double()(image[None])[0][0].flatten(1).t()
    torch.testing.assert_close(output, x, rtol=1e-9, atol=1e-9)


def test_report_names_everything_in_few_lines(deit, bicubic):
    path, arrays = deit
    backbone = ViTDetBackbone(img_size=160, embed_dim=192, num_heads=3, window_size=5)
    lines = str(load_vit_weights(backbone, read_weights(path))).splitlines()
    assert lines == [
        '  names of timm',
        '  loaded 147 tensors',
        '  resized: pos_embed (1, 14, 14, 192) -> (1, 10, 10, 192)',
        '  missing in the file: blocks.*.attn.rel_pos_h (12), blocks.*.attn.rel_pos_w (12)',
        '  unexpected in the file, not used: cls_token, norm.weight, norm.bias, '
        'head.weight, head.bias',
    ]
    assert len(arrays) == 147 + 5


def test_init_weights_logs_the_report(deit):
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        build_tiny(deit[0], img_size=224)
    finally:
        logger.removeHandler(handler)
    report, = [text for text in records if 'loaded 147 tensors' in text]
    assert report.startswith(f'start weights {deit[0]}:')


def write_safetensors(path, tensors: dict) -> None:
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, tensor in tensors.items():
        raw = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        header[name] = dict(dtype={torch.float32: 'F32', torch.bfloat16: 'BF16'}[tensor.dtype],
                            shape=list(tensor.shape),
                            data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)


@pytest.mark.parametrize('name', ['w.pth', 'w.pt', 'mae.pth', 'w.npz', 'w.safetensors'])
def test_every_kind_of_file_gives_the_same_tensors(tmp_path, name):
    weights, path = small_weights(), tmp_path / name
    if name == 'mae.pth':
        torch.save(dict(model=weights), path)
    elif path.suffix == '.npz':
        np.savez(path, **{key: value.numpy() for key, value in weights.items()})
    elif path.suffix == '.safetensors':
        write_safetensors(path, weights)
    else:
        torch.save(weights, path)
    read = read_weights(path)
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[key], weights[key]) for key in weights)


def test_safetensors_in_half_precision(tmp_path):
    weights = dict(a=torch.randn(3, 4).bfloat16(), b=torch.randn(2))
    write_safetensors(tmp_path / 'w.safetensors', weights)
    read = read_weights(tmp_path / 'w.safetensors')
    assert all(torch.equal(read[key], weights[key]) for key in weights)


@pytest.mark.parametrize('num_tokens', [0, 1, 2])
def test_rows_of_extra_tokens_are_dropped_from_the_position_table(num_tokens):
    weights = small_weights()
    weights['pos_embed'] = torch.randn(1, 4 + num_tokens, 8)
    backbone = ViTDetBackbone(**SMALL)
    load_vit_weights(backbone, weights)
    assert torch.equal(
        backbone.pos_embed.detach().flatten(1, 2), weights['pos_embed'][:, num_tokens:])


def test_relative_tables_of_another_size_are_interpolated():
    weights = small_weights()
    weights['blocks.1.attn.rel_pos_h'] = torch.arange(7.)[:, None].repeat(1, 4)
    backbone = ViTDetBackbone(**SMALL)
    report = load_vit_weights(backbone, weights)
    assert 'blocks.1.attn.rel_pos_h (7, 4) -> (3, 4)' in report.resized
    torch.testing.assert_close(
        backbone.blocks[1].attn.rel_pos_h[:, 0].detach(), torch.tensor([2 / 3, 3, 16 / 3]))


def with_tensor(name, shape):
    return {**small_weights(), name: torch.randn(shape)}


@pytest.mark.parametrize('weights, message', [
    (dict(a=torch.zeros(1)), 'no plain ViT in it: .*patch_embed.proj.weight .*; the file has a'),
    (with_tensor('blocks.0.mlp.fc1.weight', (16, 8)),
     r'blocks.0.mlp.fc1.weight has the shape \(16, 8\) in the file and \(32, 8\) in the backbone'),
    (with_tensor('pos_embed', (1, 5, 6)), r'pos_embed .*\(1, 2, 2, 6\).*\(1, 2, 2, 8\)'),
    (with_tensor('pos_embed', (1, 8, 8)), r'pos_embed .*\(1, 8, 8\).*square number'),
    (with_tensor('blocks.0.attn.rel_pos_w', (3, 5)), r'rel_pos_w .*\(3, 5\).*\(3, 4\)'),
])
def test_weights_that_do_not_fit_are_refused(tmp_path, weights, message):
    path = tmp_path / 'w.pth'
    torch.save(weights, path)
    with pytest.raises(ValueError, match=message) as error:
        PretrainedViT(str(path))(ViTDetBackbone(**SMALL))
    assert str(path) in str(error.value) and '\n' not in str(error.value)


class Code:
    """Something that only an unsafe load would bring back."""


@pytest.mark.parametrize('name, content, message', [
    ('w.pth', b'<html>not found</html>', 'not readable as .pth'),
    ('w.npz', b'<html>not found</html>', 'not readable as .npz'),
    ('w.safetensors', b'<html>not found</html>', 'not readable as .safetensors'),
    ('w.onnx', b'', 'ends in .pth, .pt, .npz, .safetensors, .pkl'),
    ('w.pth', dict(model=dict(a=Code())), 'not readable as .pth'),
    ('w.pth', [1, 2], 'expected tensors by name'),
    ('w.pth', dict(epoch=3), 'expected tensors by name'),
    ('w.npz', dict(a=np.array([Code()], dtype=object)), 'not readable as .npz'),
])
def test_files_that_are_no_weights_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name == 'w.npz':
        np.savez(path, **content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=message) as error:
        PretrainedViT(str(path))(ViTDetBackbone(**SMALL))
    assert str(path) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('url', [None, 'https://example.org/vit.pth'])
def test_missing_file_is_one_line_that_says_what_to_do(tmp_path, url):
    path = tmp_path / 'vit.pth'
    with pytest.raises(FileNotFoundError) as error:
        PretrainedViT(str(path), url)(ViTDetBackbone(**SMALL))
    message = str(error.value)
    assert '\n' not in message
    assert str(path) in message and 'model.backbone.init_cfg.checkpoint' in message
    assert url is None or url in message


def test_initialisation_is_logged_as_pretrained(tmp_path):
    path = tmp_path / 'w.pth'
    torch.save(small_weights(), path)
    backbone = ViTDetBackbone(
        init_cfg=dict(type='PretrainedViT', checkpoint=str(path)), **SMALL)
    seen = {}
    backbone._dump_init_info = lambda: seen.update(
        {name: backbone._params_init_info[param]['init_info']
         for name, param in backbone.named_parameters()})
    backbone.init_weights()
    assert seen['patch_embed.proj.weight'] == f'PretrainedViT: load from {path}'
    assert 'PretrainedViT' not in seen['blocks.0.attn.rel_pos_h']


class MeanModel(BaseModel):
    """A backbone and the mean of its map."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.backbone = ViTDetBackbone(
            init_cfg=dict(type='PretrainedViT', checkpoint=checkpoint), **SMALL)

    def forward(self, image, mode='tensor'):
        mean = self.backbone(torch.stack(image))[0].mean()
        return dict(loss=mean) if mode == 'loss' else [mean]


def build_runner(work_dir, checkpoint) -> Runner:
    loader = dict(
        batch_size=1, dataset=[dict(image=torch.randn(3, 32, 32))],
        sampler=dict(type='DefaultSampler', shuffle=False))
    return Runner(
        MeanModel(str(checkpoint)), str(work_dir), train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=1), test_dataloader=loader, test_cfg=dict(),
        test_evaluator=[], optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        default_scope='mmdet', experiment_name=f'{work_dir.name}', log_level='WARNING')


def test_runner_loads_start_weights_to_train_and_needs_no_file_to_test(tmp_path):
    path = tmp_path / 'w.pth'
    weights = small_weights()
    torch.save(weights, path)
    runner = build_runner(tmp_path / 'train', path)
    runner.train()
    name = 'blocks.1.mlp.fc2.weight'
    assert torch.equal(runner.model.state_dict()[f'backbone.{name}'], weights[name])
    path.unlink()
    build_runner(tmp_path / 'test', path).test()
    with pytest.raises(FileNotFoundError, match='start weights not found'):
        build_runner(tmp_path / 'again', path).train()

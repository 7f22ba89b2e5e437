"""The command line that writes foreign weights under our own names."""
import pickle

import torch

from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.weights import PretrainedViT, read_weights

TOOL = 'model_converters/convert_weights.py'
SMALL = dict(img_size=32, embed_dim=8, depth=2, num_heads=2, global_attn_indexes=())


def detectron2_pickle(path):
    model = ViTDetBackbone(**SMALL)
    state = {f'backbone.net.{name}': value.numpy() for name, value in model.state_dict().items()}
    table = torch.from_numpy(state['backbone.net.pos_embed']).flatten(1, 2)
    state['backbone.net.pos_embed'] = torch.cat([table[:, :1], table], dim=1).numpy()
    state['roi_heads.mask_head.deconv.weight'] = table.numpy()
    path.write_bytes(pickle.dumps(dict(model=state)))
    return model


def test_pickle_of_detectron2(run_tool, tmp_path):
    model = detectron2_pickle(tmp_path / 'd2.pkl')
    target = tmp_path / 'own.safetensors'
    refused = run_tool(TOOL, tmp_path / 'd2.pkl', target)
    assert refused.code == 1 and '--trust-pickle' in refused.err and refused.err.count('\n') == 1
    assert not target.exists()
    done = run_tool(TOOL, tmp_path / 'd2.pkl', target, '--trust-pickle')
    assert done.code == 0, done.err
    assert 'names of timm under backbone.net' in done.out
    assert 'left out: roi_heads.mask_head.deconv.weight' in done.out
    assert read_weights(target)['pos_embed'].shape == (1, 2, 2, 8)
    other = ViTDetBackbone(**SMALL)
    PretrainedViT(str(target))(other)
    assert all(torch.equal(value, other.state_dict()[name])
               for name, value in model.state_dict().items())


def test_one_line_errors(run_tool, tmp_path):
    detectron2_pickle(tmp_path / 'd2.pkl')
    (tmp_path / 'there.pth').write_text('kept')
    (tmp_path / 'page.pth').write_text('<html>')
    for source, target, message in (
            ('absent.pth', 'own.pth', 'there is no file'),
            ('d2.pkl', 'there.pth', 'exists already'),
            ('page.pth', 'own.pth', 'page.pth: not readable as .pth'),
            ('d2.pkl', 'own.npz', 'ends in .safetensors or .pth')):
        result = run_tool(TOOL, tmp_path / source, tmp_path / target, '--trust-pickle')
        assert result.code == 1 and message in result.err and result.err.count('\n') == 1
    assert (tmp_path / 'there.pth').read_text() == 'kept'
    assert {path.name for path in tmp_path.iterdir()} == {'d2.pkl', 'there.pth', 'page.pth'}

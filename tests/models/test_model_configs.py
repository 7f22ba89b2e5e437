from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmfreeze.models import ViTDet

pytestmark = pytest.mark.usefixtures('mmdet_scope')
CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models'

# width, blocks, heads, global blocks, drop-path
SIZES = dict(
    toy=(96, 12, 3, (2, 5, 8, 11), 0.),
    t=(192, 12, 3, (2, 5, 8, 11), .1),
    s=(384, 12, 6, (2, 5, 8, 11), .1),
    b=(768, 12, 12, (2, 5, 8, 11), .1),
    l=(1024, 24, 16, (5, 11, 17, 23), .4),
    h=(1280, 32, 16, (7, 15, 23, 31), .5),
)


def build(name: str) -> ViTDet:
    """The model of a config, without memory for its weights."""
    with torch.device('meta'):
        return MODELS.build(Config.fromfile(CONFIGS / f'vitdet_{name}.py').model)


@pytest.mark.parametrize('name', SIZES)
def test_sizes(name):
    width, depth, heads, global_blocks, drop_path = SIZES[name]
    backbone = build(name).backbone
    grid = 10 if name == 'toy' else 64
    window = 5 if name == 'toy' else 14
    assert tuple(backbone.pos_embed.shape) == (1, grid, grid, width)
    assert len(backbone.blocks) == depth
    for i, block in enumerate(backbone.blocks):
        assert block.attn.num_heads == heads
        assert block.window_size == (0 if i in global_blocks else window)
        assert len(block.attn.rel_pos_h) == 2 * (grid if i in global_blocks else window) - 1
    assert backbone.blocks[-1].drop_path.p == pytest.approx(drop_path)


@pytest.mark.parametrize('name', SIZES)
def test_number_of_parameters_of_the_encoder(name):
    width, depth = SIZES[name][:2]
    attention = 3 * width * width + 3 * width + width * width + width
    mlp = 2 * 4 * width * width + 4 * width + width
    block = attention + mlp + 2 * 2 * width
    patches = 16 * 16 * 3 * width + width
    encoder = patches + depth * block
    counted = sum(param.numel() for key, param in build(name).backbone.named_parameters()
                  if 'pos' not in key)
    assert counted == encoder
    if name == 'b':  # ViT-B/16 has 85.8 M with class token, position table and last norm at 224 px
        assert encoder + width + 197 * width + 2 * width == 85_798_656


@pytest.mark.parametrize('name', SIZES)
def test_start_weights(name):
    init_cfg = build(name).backbone.init_cfg
    if name == 'toy':
        assert init_cfg is None
        return
    assert init_cfg.type == 'PretrainedViT'
    assert Path(init_cfg.checkpoint).parent == Path('data/weights')
    assert init_cfg.url.startswith('https://dl.fbaipublicfiles.com/')
    assert init_cfg.url.endswith('/' + Path(init_cfg.checkpoint).name)


def sample(size: int) -> DetDataSample:
    shape = (size, size)
    result = DetDataSample(metainfo=dict(
        img_shape=shape, pad_shape=shape, ori_shape=shape, batch_input_shape=shape,
        scale_factor=(1., 1.)))
    result.gt_instances = InstanceData(
        bboxes=torch.tensor([[10., 10, 40, 36], [30, 44, 60, 60]]), labels=torch.tensor([0, 3]))
    result.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    return result


@pytest.mark.parametrize('name', ['toy', 't', 's', 'b'])
def test_training_step_and_prediction_at_a_small_size(name):
    cfg = Config.fromfile(CONFIGS / f'vitdet_{name}.py').model
    cfg.train_cfg.rcnn.sampler.num = 16
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 8
    model = MODELS.build(cfg)
    model.rpn_head.init_weights()
    image = torch.randn(1, 3, 64, 64)
    losses = model(image, [sample(64)], mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.isfinite()
    without = [key for key, param in model.named_parameters() if param.grad is None]
    assert not without
    with torch.no_grad():
        result, = model.eval()(image, [sample(64)], mode='predict')
    assert result.pred_instances.bboxes.shape[1] == 4

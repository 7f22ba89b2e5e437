"""mmdet's detectors, frozen and not, and which of mmcv's compiled ops they really call."""
import functools
import re
import sys
from pathlib import Path

import mmcv.ops.multi_scale_deform_attn as multi_scale_deform_attn
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.runner import Runner
from mmengine.structures import InstanceData

import mmfreeze
from mmfreeze.compat.mmcv_ext import StandInExtension
from mmfreeze.engine.layer_orders import build_stack

SIZE = 64
CONFIGS = {
    'Faster R-CNN': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'Cascade R-CNN': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'Mask R-CNN': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'RetinaNet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'FCOS': 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'ATSS': 'atss/atss_r50_fpn_1x_coco.py',
    'DINO': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
}
BACKBONES = {
    'ResNet': dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    'Swin': dict(type='SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2),
                 window_size=4),
    'ViT': dict(type='ViTDetBackbone', img_size=SIZE, embed_dim=16, depth=3, num_heads=2,
                window_size=2, global_attn_indexes=(2, )),
}
WIDTH = 64  # of necks and heads; 2 channels in each of the 32 groups of their norms
# Settings of the stock configs that are made small wherever they stand. Low scores count, or no
# box of an untrained detector would come as far as nms.
SMALL = dict(
    in_channels=WIDTH, feat_channels=WIDTH, out_channels=WIDTH, conv_out_channels=WIDTH,
    fc_out_channels=WIDTH, embed_dims=WIDTH, feedforward_channels=WIDTH, num_feats=WIDTH // 2,
    num_layers=2, stacked_convs=1, num_queries=20, num_dn_queries=4, nms_pre=100, max_per_img=20,
    score_thr=0.)
STRIDES = [4, 8, 16, 32, 64]  # of the pyramid on a ViT


def shrink(settings):
    for key, value in settings.items():
        if isinstance(value, dict):
            shrink(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for entry in value:
                shrink(entry)
        elif key in SMALL and isinstance(value, (int, float)):
            settings[key] = SMALL[key]


def model_of(detector, backbone):
    """The stock model, made small, on a small backbone with random weights."""
    model = get_config(f'mmdet::{CONFIGS[detector]}').model
    stages = model.backbone.out_indices
    shrink(model)
    if detector == 'DINO':
        model.bbox_head.embed_dims = WIDTH  # not in the config
    model.backbone = dict(BACKBONES[backbone])
    if backbone != 'ViT':
        model.backbone.out_indices = stages
        model.neck.in_channels = [8 * 2**i for i in stages]
        return model
    model.neck = dict(type='SimpleFeaturePyramid', in_channels=16, out_channels=WIDTH,
                      num_outs=model.neck.num_outs)
    head = model.get('bbox_head', {})
    if 'strides' in head:
        head.strides = STRIDES
    elif 'anchor_generator' in head:
        head.anchor_generator.strides = STRIDES
    return model


def sample():
    data = DetDataSample(metainfo=dict(
        img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE),
        batch_input_shape=(SIZE, SIZE), scale_factor=(1., 1.)))
    boxes = torch.tensor([[4., 4., 30., 40.], [20., 10., 60., 50.]])
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = 1
    data.gt_instances = InstanceData(
        bboxes=boxes, labels=torch.tensor([1, 7]), masks=BitmapMasks(masks.numpy(), SIZE, SIZE))
    return dict(inputs=torch.randint(0, 255, (3, SIZE, SIZE), dtype=torch.uint8),
                data_samples=data)


class Start(Hook):
    """Keeps the freezable layers of the model and their first weights."""

    def before_train(self, runner):
        self.layers = build_stack(runner.model).params
        self.weights = [[param.detach().clone() for param in layer] for layer in self.layers]

    def moved(self):
        """Which layers have other weights now."""
        return [any(not torch.equal(a, b) for a, b in zip(layer, weights))
                for layer, weights in zip(self.layers, self.weights)]


@pytest.fixture
def calls(monkeypatch):
    """The ops called from here on, by name; the stand-in's."""
    extension = sys.modules['mmcv._ext']
    if not isinstance(extension, StandInExtension):
        pytest.skip('mmcv has compiled ops')
    called = set()

    def spy(name, op):
        @functools.wraps(op)
        def wrapper(*args, **kwargs):
            called.add(name)
            return op(*args, **kwargs)
        return wrapper

    for name in mmfreeze.compat.ops.__all__:
        monkeypatch.setattr(extension, name, spy(name, getattr(extension, name)))
    return called


def documented(detector, device):
    """The table of mmfreeze/compat/README.md: the ops of training and those of prediction."""
    lines = (Path(mmfreeze.__file__).parent / 'compat' / 'README.md').read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines
            if line.startswith('| ')]
    train, predict, cuda_train, cuda_predict = next(
        [set(re.findall('`(.+?)`', cell)) for cell in cells]
        for detectors, *cells in rows if detector in detectors.split(', '))
    return [train | cuda_train, predict | cuda_predict] if device == 'cuda' else [train, predict]


@pytest.mark.parametrize('num_frozen', [0, 2], ids=['not frozen', 'frozen'])
@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('detector', CONFIGS)
def test_train_and_predict(detector, backbone, num_frozen, calls, tmp_path):
    start = Start()
    freezing = dict(type='LayerFreezingHook', layers=None,
                    policy=dict(type='StaticFreezing', num_frozen=num_frozen))
    runner = Runner(
        model=model_of(detector, backbone), work_dir=str(tmp_path), default_scope='mmdet',
        train_dataloader=dict(batch_size=2, num_workers=0, dataset=[sample() for _ in range(4)],
                              sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=False, max_iters=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=[start, freezing] if num_frozen else [start],
        experiment_name=tmp_path.name, randomness=dict(seed=0))
    runner.train()
    in_training = set(calls)
    assert np.isfinite(runner.message_hub.log_scalars['train/loss'].current())
    assert start.moved() == [k >= num_frozen for k in range(len(start.layers))]

    calls.clear()
    runner.model.eval()
    found = predicted(runner.model)
    device = next(runner.model.parameters()).device.type
    assert [in_training, calls] == documented(detector, device)
    assert len(found) > 0 and torch.isfinite(found.bboxes).all()
    assert detector != 'Mask R-CNN' or found.masks.shape == (len(found), SIZE, SIZE)


def predicted(model):
    data = sample()
    result, = model.test_step({key: [value] for key, value in data.items()})
    return result.pred_instances


@pytest.mark.skipif(torch.cuda.is_available(), reason='the test above goes that way')
@pytest.mark.parametrize('detector', CONFIGS)
def test_the_way_that_cuda_tensors_take(detector, calls, monkeypatch):
    """Led there on the CPU: mmdet and mmcv choose the ops by where they believe a tensor lies."""
    model = model_of(detector, 'ResNet')
    model = MODELS.build(model)
    model.init_weights()
    monkeypatch.setattr(torch.Tensor, 'is_cuda', property(lambda tensor: True), raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(multi_scale_deform_attn, 'IS_CUDA_AVAILABLE', True)
    data = [sample(), sample()]
    data = model.data_preprocessor(
        dict(inputs=[each['inputs'] for each in data],
             data_samples=[each['data_samples'] for each in data]), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    in_training = set(calls)
    assert torch.isfinite(loss)
    assert model.backbone.conv1.weight.grad.any()

    calls.clear()
    model.eval()
    predicted(model)
    assert [in_training, calls] == documented(detector, 'cuda')

"""Freezing in mmdet's own detectors and configs, by name patterns and by the known order."""
import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.runner import Runner
from mmengine.structures import InstanceData

import mmfreeze  # noqa: F401

RESNET = ['backbone.conv1', 'backbone.bn1', 'backbone.layer*.*']


def samples(count):
    """Images of noise, each with two boxes."""
    def sample():
        data = DetDataSample(metainfo=dict(
            img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64), scale_factor=(1., 1.)))
        data.gt_instances = InstanceData(
            bboxes=torch.tensor([[4., 4., 30., 40.], [20., 10., 60., 50.]]),
            labels=torch.tensor([1, 7]))
        return dict(inputs=torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8),
                    data_samples=data)
    return [sample() for _ in range(count)]


def train(cfg, layers, tmp_path):
    """Five iterations, in which LFA freezes a layer at each from the second on."""
    states = []

    class Watch(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            states.append(copy.deepcopy(runner.model.state_dict()))

    runner = Runner(
        model=cfg.model, work_dir=str(tmp_path), default_scope='mmdet',
        train_dataloader=dict(batch_size=2, num_workers=0, dataset=samples(10),
                              sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=False, max_iters=5),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(
            type='AdamW', lr=1e-3, weight_decay=.1)),
        default_hooks=dict(checkpoint=None),
        custom_hooks=[dict(type='LayerFreezingHook', layers=layers,
                           policy=dict(type='LinearFreezing', period=1)), Watch()],
        experiment_name=tmp_path.name, randomness=dict(seed=0))
    runner.train()
    states.append(runner.model.state_dict())
    return states


def same(a, b, prefix):
    names = [name for name in a if (name + '.').startswith(tuple(p + '.' for p in prefix))]
    assert names
    return all(torch.equal(a[name], b[name]) for name in names)


def test_faster_rcnn_resnet50_keeps_its_own_frozen_stages(tmp_path):
    cfg = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    # BatchNorm in training mode, so that frozen running statistics can be told from others.
    cfg.model.backbone.update(init_cfg=None, norm_eval=False)
    states = train(cfg, RESNET, tmp_path)
    own = ['backbone.conv1', 'backbone.bn1', 'backbone.layer1']
    assert same(states[0], states[-1], own)
    text = next(tmp_path.glob('*/*.log')).read_text()
    assert '13 freezable layers' in text and 'frozen by the model itself' in text
    # Block k of the rest is frozen from iteration k + 1 on, statistics of BatchNorm included.
    blocks = ['backbone.layer2.0', 'backbone.layer2.1', 'backbone.layer2.2', 'backbone.layer2.3']
    for k, block in enumerate(blocks):
        assert same(states[k + 1], states[-1], [block])
        assert k == 0 or not same(states[k], states[k + 1], [block])
    for block in ('backbone.layer3.0', 'neck', 'rpn_head'):
        assert not same(states[3], states[4], [block])


def test_retinanet_swin(tmp_path):
    cfg = get_config('mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py')
    cfg.model.backbone.update(init_cfg=None)
    states = train(cfg, None, tmp_path)
    assert '12 freezable layers' in next(tmp_path.glob('*/*.log')).read_text()
    layers = [['backbone.patch_embed', 'backbone.stages.0.blocks.0'],
              ['backbone.stages.0.blocks.1'],
              ['backbone.stages.0.downsample', 'backbone.stages.1.blocks.0'],
              ['backbone.stages.1.blocks.1']]
    for k, layer in enumerate(layers):
        assert same(states[k + 1], states[-1], layer)
        assert k == 0 or not same(states[k], states[k + 1], layer)
    assert not same(states[3], states[4], ['backbone.stages.2.blocks.0'])


def test_of_an_unknown_backbone_the_error_says_what_to_write(tmp_path):
    cfg = get_config('mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py')
    cfg.model.backbone.update(init_cfg=None)
    with pytest.raises(ValueError, match="layers=.'backbone.conv1'"):
        train(cfg, None, tmp_path)

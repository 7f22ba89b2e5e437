"""Plain mmdet on an mmcv without ops, with one ``custom_imports`` in the config and no more."""
import json
import os
import subprocess
import sys
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
# A plain mmdet config; the images lie beside it.
CONFIG = """
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', 'mmdet::_base_/default_runtime.py']
custom_imports = dict(imports=['mmfreeze'])
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32, num_classes=1)),
    test_cfg=dict(rcnn=dict(score_thr=0.)))
_load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
]
_data = dict(
    type='CocoDataset', data_root='{root}', ann_file='coco.json', data_prefix=dict(img=''),
    metainfo=dict(classes=('box', )))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler'),
    dataset=dict(pipeline=[*_load, dict(type='PackDetInputs')], **_data))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(test_mode=True, pipeline=[*_load, dict(
        type='PackDetInputs', meta_keys=('img_id', 'ori_shape', 'img_shape', 'scale_factor'))],
        **_data))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file='{root}/coco.json')
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=.01))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2))
"""

# mmdet is imported before the config brings mmfreeze in: what mmdet could not import from
# mmcv.ops by then it has replaced by functions that raise.
INFER = """
import json
import mmdet.apis
import mmdet.utils.large_image
inferencer = mmdet.apis.DetInferencer('config.py', 'run/iter_2.pth', device='cpu')
found = inferencer('0.png', no_save_vis=True)['predictions'][0]

import mmcv.ops
import numpy as np
from mmdet.evaluation.metrics import dump_odvg_results
from mmdet.structures.mask import BitmapMasks
assert mmdet.apis.inference.RoIPool is mmcv.ops.RoIPool
assert mmdet.utils.large_image.batched_nms is mmcv.ops.batched_nms
assert dump_odvg_results.batched_nms is mmcv.ops.batched_nms
masks = BitmapMasks(np.ones((1, 8, 8), np.uint8), 8, 8)
crop = masks.crop_and_resize(np.array([[0., 0., 8., 8.]]), (4, 4), np.array([0]), 'cpu')
assert crop.masks.shape == (1, 4, 4) and crop.masks.all()
print(json.dumps([len(found['bboxes']), len(found['scores'])]))
"""


@pytest.fixture
def config(tmp_path):
    """Writes two images of 64 px with bright boxes and a config that trains on them; its path."""
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='box')])
    for i in range(2):
        pixels = np.full((64, 64, 3), 40, np.uint8)
        for x in (4, 36):
            pixels[8:32, x:x + 24] = 220
            coco['annotations'].append(
                dict(id=len(coco['annotations']) + 1, image_id=i, category_id=1, iscrowd=0,
                     bbox=[x, 8, 24, 24], area=576))
        Image.fromarray(pixels).save(tmp_path / f'{i}.png')
        coco['images'].append(dict(id=i, file_name=f'{i}.png', height=64, width=64))
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.replace('{root}', str(tmp_path)))
    return path


class StartWeights(Hook):
    """Keeps the backbone's first weights as they are after initialization."""

    def before_train(self, runner):
        self.weights = runner.model.backbone.conv1.weight.detach().clone()


def test_runner(config, tmp_path):
    """mmengine's Runner trains, tests and saves; the backbone learns through RoIAlign alone."""
    settings = Config.fromfile(config)
    settings.model.rpn_head.loss_cls.loss_weight = 0
    settings.model.rpn_head.loss_bbox.loss_weight = 0
    settings.work_dir = str(tmp_path / 'run')
    runner = Runner.from_cfg(settings)
    start = StartWeights()
    runner.register_hook(start)
    runner.train()
    assert runner.iter == 2
    assert not torch.equal(start.weights, runner.model.backbone.conv1.weight)
    metrics = runner.message_hub.log_scalars
    assert np.isfinite(metrics['train/loss_bbox'].current())
    assert 0 <= metrics['val/coco/bbox_mAP'].current() <= 1
    assert (tmp_path / 'run' / 'iter_2.pth').is_file()


def test_mmdet_train_and_inferencer(config, tmp_path):
    def python(*command):
        path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
        environment = dict(os.environ, PYTHONPATH=path, CUDA_VISIBLE_DEVICES='-1')
        run = subprocess.run([sys.executable, *map(str, command)], cwd=tmp_path, env=environment,
                             capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-3000:]
        return run.stdout

    train = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'
    python(train, config, '--work-dir', 'run')
    assert (tmp_path / 'run' / 'iter_2.pth').is_file()
    boxes, scores = json.loads(python('-c', INFER).splitlines()[-1])
    assert boxes == scores > 0

"""mmdet's VOCMetric beside CocoBoxMetric, on the DIOR data set with its test pipeline."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from PIL import Image

from mmfreeze.datasets import DIORDataset

CONFIG = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets' / 'dior.py'


@pytest.fixture
def dataset(tmp_path):
    """Two images of 100 x 60: two ships on the first, one dam on the second."""
    boxes = [(1, 'ship', [10, 10, 20, 10]), (1, 'ship', [60, 30, 20, 20]),
             (2, 'dam', [30, 5, 40, 50])]
    classes = DIORDataset.METAINFO['classes']
    images = [dict(id=i, width=100, height=60, file_name=f'{i}.png') for i in (1, 2)]
    for image in images:
        Image.new('RGB', (100, 60)).save(tmp_path / image['file_name'])
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations' / 'test.json').write_text(json.dumps(dict(
        images=images,
        categories=[dict(id=i, name=name) for i, name in enumerate(classes, start=1)],
        annotations=[dict(id=i, image_id=image, category_id=1 + classes.index(name), bbox=box,
                          area=box[2] * box[3], iscrowd=0)
                     for i, (image, name, box) in enumerate(boxes, start=1)])))
    init_default_scope('mmdet')
    return DATASETS.build({**Config.fromfile(CONFIG).test_dataloader.dataset,
                           'data_root': str(tmp_path)})


def test_voc_ap50(dataset, tmp_path):
    """Ships: a hit, a miss, a hit, so the area is 1/2 + 1/2 * 2/3; dams: a hit, so it is 1."""
    found = {1: ([[10, 10, 30, 20], [0, 40, 9, 50], [60, 30, 80, 50]], 'ship', [.9, .8, .7]),
             2: ([[30, 5, 70, 55]], 'dam', [.6])}
    evaluator = Evaluator([
        dict(type='CocoBoxMetric', ann_file=str(tmp_path / 'annotations' / 'test.json')),
        dict(type='VOCMetric', metric='mAP', eval_mode='area')])
    evaluator.dataset_meta = dataset.metainfo
    for index in range(2):
        data_sample = dataset[index]['data_samples']
        data_sample.gt_instances.bboxes = data_sample.gt_instances.bboxes.tensor
        data_sample.ignored_instances.bboxes = data_sample.ignored_instances.bboxes.tensor
        boxes, name, scores = found[data_sample.img_id]
        label = DIORDataset.METAINFO['classes'].index(name)
        data_sample.pred_instances = InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float32), scores=torch.tensor(scores),
            labels=torch.full((len(boxes),), label))
        evaluator.process([data_sample])
    values = evaluator.evaluate(2)
    ships = .5 + .5 * 2 / 3
    # VOCMetric averages over the classes that have objects, and rounds its AP50 to 3 digits
    assert values['pascal_voc/mAP'] == pytest.approx((ships + 1) / 2, abs=1e-6)
    assert values['pascal_voc/AP50'] == pytest.approx((ships + 1) / 2, abs=5e-4)
    # COCO's definition reads the same curve at 101 points
    expected = (51 + 50 * 2 / 3) / 101
    assert values['coco/bbox_mAP_50'] == pytest.approx(np.mean([expected, 1]))
    assert list(values)[0] == 'coco/bbox_mAP'  # what save_best='auto' takes

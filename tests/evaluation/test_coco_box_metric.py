"""CocoBoxMetric against pycocotools, a case worked out by hand, and mmengine's evaluator."""
import copy
import json

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS
from mmengine.evaluator import Evaluator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import mmfreeze  # noqa: F401  registers the metric

CLASSES = ('ship', 'vehicle', 'dam', 'harbor')
KEYS = ['bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l',
        'AR@1', 'AR@10', 'AR@100']


def random_truth(rng, images=12, crowd=True):
    """Boxes of three of four classes; category ids neither start at 1 nor follow the classes."""
    ids = dict(ship=7, vehicle=3, dam=9, harbor=5)
    annotations = []
    for image_id in range(1, images + 1):
        for _ in range(rng.integers(0, 40)):
            x, y = rng.uniform(0, 600, 2)
            w, h = rng.choice([15, 60, 150]) * rng.uniform(.5, 1.5, 2)
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id,
                category_id=ids[CLASSES[rng.integers(3)]], bbox=[x, y, w, h], area=w * h,
                iscrowd=int(crowd and rng.uniform() < .1)))
    return dict(
        images=[dict(id=i, width=800, height=800, file_name=f'{i}.jpg')
                for i in range(1, images + 1)],
        categories=[dict(id=number, name=name) for name, number in ids.items()],
        annotations=annotations)


def random_detections(rng, truth, extra):
    """Jittered copies of the ground truth among random boxes, as the evaluator hands them on."""
    samples = []
    for image in truth['images']:
        boxes, labels = [], []
        names = {category['id']: category['name'] for category in truth['categories']}
        for ann in truth['annotations']:
            if ann['image_id'] == image['id']:
                for _ in range(3):
                    x, y, w, h = np.array(ann['bbox']) + rng.normal(0, 6, 4)
                    boxes.append([x, y, x + max(w, 2), y + max(h, 2)])
                    labels.append(CLASSES.index(names[ann['category_id']]))
        for _ in range(extra):
            x, y, w, h = rng.uniform(5, 300, 4)
            boxes.append([x, y, x + w, y + h])
            labels.append(rng.integers(4))
        samples.append(sample(image['id'], boxes, rng.uniform(size=len(boxes)), labels))
    return samples


def sample(image_id, boxes, scores, labels):
    return dict(img_id=image_id, pred_instances=dict(
        bboxes=torch.tensor(np.array(boxes, dtype=np.float32).reshape(-1, 4)),
        scores=torch.tensor(np.array(scores, dtype=np.float32)),
        labels=torch.tensor(np.array(labels, dtype=np.int64))))


def evaluate(path, truth, samples, **settings):
    path = path / 'truth.json'
    path.write_text(json.dumps(truth))
    evaluator = Evaluator(METRICS.build(dict(type='CocoBoxMetric', ann_file=str(path),
                                             **settings)))
    evaluator.dataset_meta = dict(classes=CLASSES)
    for item in samples:
        evaluator.process([item])
    return evaluator.evaluate(len(samples))


def pycocotools_values(truth, samples, classes=CLASSES):
    reference = COCO()
    reference.dataset = copy.deepcopy(truth)
    reference.createIndex()
    ids = {category['name']: category['id'] for category in truth['categories']}
    found = []
    for item in samples:
        instances = item['pred_instances']
        for box, score, label in zip(instances['bboxes'].double().tolist(),
                                     instances['scores'].double().tolist(),
                                     instances['labels'].tolist()):
            x1, y1, x2, y2 = box
            found.append(dict(image_id=item['img_id'], bbox=[x1, y1, x2 - x1, y2 - y1],
                              score=score, category_id=ids[classes[label]]))
    evaluation = COCOeval(reference, reference.loadRes(found), 'bbox')
    evaluation.params.imgIds = [item['img_id'] for item in samples]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(zip((f'coco/{key}' for key in KEYS), evaluation.stats[:9]))


@pytest.mark.parametrize('seed, extra', [(0, 20), (1, 0), (2, 900)])
def test_equals_pycocotools(tmp_path, seed, extra):
    """900 random boxes per image are some 225 per class: the limit of 100 bites."""
    rng = np.random.default_rng(seed)
    truth = random_truth(rng)
    samples = random_detections(rng, truth, extra)
    values = evaluate(tmp_path, truth, samples)
    expected = pycocotools_values(truth, samples)
    assert set(values) == set(expected)
    for key, value in expected.items():
        assert values[key] == pytest.approx(value, abs=1e-12), key
    assert 0 < values['coco/bbox_mAP'] < values['coco/bbox_mAP_50']


def test_counts_only_processed_images(tmp_path):
    rng = np.random.default_rng(3)
    truth = random_truth(rng)
    samples = random_detections(rng, truth, 10)[:5]
    assert evaluate(tmp_path, truth, samples) == pytest.approx(pycocotools_values(truth, samples))


def test_by_hand(tmp_path):
    """One class, three ships, the second detection wrong.

    At every IoU up to .8 the detections count hit, miss, hit: precision is 1 up to recall 1/3
    (34 of the 101 points) and 2/3 up to recall 2/3 (33 more). The third hit covers .8 of its ship,
    so it is one at seven of the ten IoUs (.5 to .8); above, only the first is left.
    """
    truth = dict(
        images=[dict(id=1, width=800, height=800, file_name='1.jpg')],
        categories=[dict(id=number, name=name) for number, name in enumerate(CLASSES, start=1)],
        annotations=[dict(id=number, image_id=1, category_id=1, bbox=[x, 10, 20, 10], area=200,
                          iscrowd=0) for number, x in enumerate((100, 200, 300), start=1)])
    boxes = [[100, 10, 120, 20], [500, 10, 520, 20], [200, 10, 216, 20]]
    values = evaluate(tmp_path, truth, [sample(1, boxes, [.9, .8, .7], [0, 0, 0])])
    both, first = (34 + 33 * 2 / 3) / 101, 34 / 101
    assert values == pytest.approx({
        'coco/bbox_mAP': .7 * both + .3 * first, 'coco/bbox_mAP_50': both,
        'coco/bbox_mAP_75': both, 'coco/bbox_mAP_s': .7 * both + .3 * first,
        'coco/bbox_mAP_m': -1, 'coco/bbox_mAP_l': -1, 'coco/AR@1': 1 / 3,
        'coco/AR@10': .7 * 2 / 3 + .3 / 3, 'coco/AR@100': .7 * 2 / 3 + .3 / 3})


def test_no_detections_give_zeros(tmp_path):
    truth = random_truth(np.random.default_rng(4))
    values = evaluate(tmp_path, truth, [sample(image['id'], [], [], [])
                                        for image in truth['images']])
    assert values == {f'coco/{key}': 0 for key in KEYS}


def test_names_decide_not_the_order_of_the_file(tmp_path):
    """Perfect detections, labelled by the data set's order of classes, score 1."""
    truth = random_truth(np.random.default_rng(5), crowd=False)
    names = {category['id']: category['name'] for category in truth['categories']}
    samples = []
    for image in truth['images']:
        own = [ann for ann in truth['annotations'] if ann['image_id'] == image['id']]
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (ann['bbox'] for ann in own)]
        samples.append(sample(image['id'], boxes, np.ones(len(own)),
                              [CLASSES.index(names[ann['category_id']]) for ann in own]))
    assert evaluate(tmp_path, truth, samples)['coco/bbox_mAP_50'] == pytest.approx(1)


def test_class_missing_from_the_file(tmp_path):
    truth = random_truth(np.random.default_rng(6))
    truth['categories'] = truth['categories'][1:]
    with pytest.raises(ValueError, match='truth.json: no category ship; the file has vehicle'):
        evaluate(tmp_path, truth, [sample(1, [], [], [])])


def test_tables(tmp_path, monkeypatch):
    """The class table's numbers are those of pycocotools restricted to the class."""
    lines = []
    monkeypatch.setattr('mmengine.logging.MMLogger.info',
                        lambda self, message, *args, **kwargs: lines.append(message))
    rng = np.random.default_rng(7)
    truth = random_truth(rng)
    samples = random_detections(rng, truth, 10)
    values = evaluate(tmp_path, truth, samples, classwise=True)
    total, by_class = (message.split('\n')[1:] for message in lines if 'AP50' in message)
    assert total[0].split() == ['class', 'AP', 'AP50', 'AP75', 'AR@1', 'AR@10', 'AR@100']
    shown = ['bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'AR@1', 'AR@10', 'AR@100']
    assert total[1].split() == ['all', *(f'{values[f"coco/{key}"]:.4f}' for key in shown)]
    assert by_class[0].split() == ['class', 'AP', 'AP50', 'AR@10']
    assert {line.split()[0] for line in by_class[1:]} == set(CLASSES)
    ship = next(line.split() for line in by_class if line.startswith('ship'))
    only = copy.deepcopy(truth)
    only['categories'] = [c for c in truth['categories'] if c['name'] == 'ship']
    only['annotations'] = [a for a in truth['annotations'] if a['category_id'] == 7]
    own = []
    for item in samples:
        chosen = item['pred_instances']['labels'] == 0
        own.append(dict(img_id=item['img_id'], pred_instances={
            key: value[chosen] for key, value in item['pred_instances'].items()}))
    expected = pycocotools_values(only, own, classes=('ship',))
    assert ship[1:] == [f'{expected[f"coco/{key}"]:.4f}'
                        for key in ('bbox_mAP', 'bbox_mAP_50', 'AR@10')]

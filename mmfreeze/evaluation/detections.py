"""Detections as a COCO file that stands on its own."""
import json
from typing import Dict, Sequence

from mmdet.structures import DetDataSample


def coco_detections(samples: Dict[str, DetDataSample], classes: Sequence[str]) -> str:
    """Writes detections in COCO's format, images and categories included.

    Args:
        samples (dict[str, DetDataSample]): The detector's answer by the image's name, with
            ``pred_instances`` (boxes in pixels of the original image) and ``ori_shape``.
        classes (Sequence[str]): Class names; label i is category i + 1.

    Returns:
        str: A json object whose ``annotations`` have a ``score`` beside COCO's own keys, with
        boxes as ``[x, y, width, height]`` to a hundredth of a pixel. ``COCO(path)`` of
        pycocotools reads it, and its ``annotations`` alone are what ``COCO.loadRes`` takes.
    """
    images, annotations = [], []
    for number, (name, sample) in enumerate(samples.items(), 1):
        height, width = sample.ori_shape[:2]
        images.append(dict(id=number, file_name=name, width=width, height=height))
        found = sample.pred_instances.cpu()
        for (x1, y1, x2, y2), score, label in zip(
                found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist()):
            box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(dict(
                id=len(annotations) + 1, image_id=number, category_id=label + 1, bbox=box,
                area=round(box[2] * box[3], 2), iscrowd=0, score=round(score, 5)))
    categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
    return json.dumps(dict(images=images, annotations=annotations, categories=categories))

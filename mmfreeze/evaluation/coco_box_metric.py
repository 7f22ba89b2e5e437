"""COCO's average precision and average recall of boxes, under names that mean what they say."""
from typing import Dict, List, Optional, Sequence

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmfreeze.datasets.aerial import category_ids

MAX_DETECTIONS = (1, 10, 100)


@METRICS.register_module()
class CocoBoxMetric(BaseMetric):
    """COCO's AP and AR of horizontal boxes, all of them at no more than 100 detections.

    The number of detections counts per image and class, as in pycocotools; ``AR@10`` is the recall
    averaged over IoU .50:.95 with at most 10 of them. Values are not rounded. Where COCO's
    definition has no value (no ground truth of a size), it is -1, as in pycocotools; without any
    detection the others are 0. Only the images that were processed count.

    Keys: ``bbox_mAP``, ``bbox_mAP_50``, ``bbox_mAP_75``, ``bbox_mAP_s``, ``bbox_mAP_m``,
    ``bbox_mAP_l``, ``AR@1``, ``AR@10`` and ``AR@100``, behind the prefix ``coco/``. A name of
    mmdet's ``CocoMetric`` means the same here (its ``AR@100`` to ``AR@1000``, written without
    such a limit, do not).

    VOC's AP50 is mmdet's ``VOCMetric``, beside this metric in the evaluator's list::

        val_evaluator = [
            dict(type='CocoBoxMetric', ann_file='data/dior/annotations/test.json'),
            dict(type='VOCMetric', metric='mAP', eval_mode='area'),
        ]

    Args:
        ann_file: The annotation file in COCO's format.
        classwise: Whether to print AP, AP50 and AR@10 of each class.
        collect_device: Where results of several processes are gathered, ``'cpu'`` or ``'gpu'``.
        prefix: What stands before the keys instead of ``coco``.
    """
    default_prefix = 'coco'

    def __init__(self, ann_file: str, classwise: bool = False, collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ann_file = ann_file
        self.classwise = classwise
        self.ground_truth = COCO(ann_file)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keeps the detections of one batch.

        Args:
            data_batch: Not used.
            data_samples: Dicts with ``img_id`` and ``pred_instances``: ``bboxes`` of shape (N, 4)
                as (x1, y1, x2, y2) in pixels of the original image, ``scores`` and ``labels`` of
                shape (N,).
        """
        for sample in data_samples:
            instances = sample['pred_instances']
            self.results.append((sample['img_id'], *(
                instances[key].cpu().numpy() for key in ('bboxes', 'scores', 'labels'))))

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """Evaluates what :meth:`process` kept.

        Args:
            results: (image id, boxes, scores, labels) of every image.

        Returns:
            The value of each key, from 0 to 1, or -1 where there is none.

        Raises:
            ValueError: If the annotation file lacks a class of the data set.
        """
        category_ids = self._category_ids()
        detections = self._to_coco(results, category_ids)
        evaluation = COCOeval_faster(self.ground_truth, detections, 'bbox')
        evaluation.params.imgIds = [image_id for image_id, *_ in results]
        evaluation.params.catIds = category_ids
        evaluation.params.maxDets = list(MAX_DETECTIONS)
        evaluation.evaluate()
        evaluation.accumulate()
        # precision: (IoU, recall, class, area, limit); recall: (IoU, class, area, limit)
        precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
        areas = evaluation.params.areaRngLbl
        values = dict(
            bbox_mAP=_mean(precision[..., 0, -1]),
            bbox_mAP_50=_mean(precision[0, ..., 0, -1]),
            bbox_mAP_75=_mean(precision[5, ..., 0, -1]))
        for area in ('small', 'medium', 'large'):
            values[f'bbox_mAP_{area[0]}'] = _mean(precision[..., areas.index(area), -1])
        for position, limit in enumerate(MAX_DETECTIONS):
            values[f'AR@{limit}'] = _mean(recall[..., 0, position])

        logger = MMLogger.get_current_instance()
        shown = dict(AP='bbox_mAP', AP50='bbox_mAP_50', AP75='bbox_mAP_75',
                     **{f'AR@{limit}': f'AR@{limit}' for limit in MAX_DETECTIONS})
        row = [values[key] for key in shown.values()]
        logger.info('\n' + _table(list(shown), {'all': row}))
        if self.classwise:
            # the evaluation sorts its classes by id
            order = sorted(range(len(category_ids)), key=category_ids.__getitem__)
            rows = {self.dataset_meta['classes'][label]: [
                _mean(precision[:, :, place, 0, -1]), _mean(precision[0, :, place, 0, -1]),
                _mean(recall[:, place, 0, 1])] for place, label in enumerate(order)}
            logger.info('\n' + _table(['AP', 'AP50', 'AR@10'], rows))
        return values

    def _category_ids(self) -> List[int]:
        """Returns the annotation file's category id of each of the data set's classes."""
        try:
            return category_ids(self.ground_truth.dataset['categories'],
                                self.dataset_meta['classes'])
        except ValueError as error:
            raise ValueError(f'{self.ann_file}: {error}') from error

    def _to_coco(self, results: List[tuple], category_ids: List[int]) -> COCO:
        """Returns the detections as faster-coco-eval holds them (its own loader would draw an
        outline for each box)."""
        annotations = []
        for image_id, boxes, scores, labels in results:
            boxes = boxes.astype(np.float64)
            boxes[:, 2:] -= boxes[:, :2]
            for box, score, label in zip(boxes.tolist(), scores.tolist(), labels.tolist()):
                annotations.append(dict(
                    id=len(annotations) + 1, image_id=image_id, category_id=category_ids[label],
                    bbox=box, area=box[2] * box[3], score=score, iscrowd=0))
        return COCO(dict(images=self.ground_truth.dataset['images'], annotations=annotations,
                         categories=self.ground_truth.dataset['categories']))


def _mean(values: np.ndarray) -> float:
    """Returns the mean of the defined values, or -1 if there is none."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else -1.


def _table(columns: List[str], rows: Dict[str, List[float]]) -> str:
    width = max(map(len, [*rows, 'class']))
    lines = [f'{"class":<{width}}' + ''.join(f'{column:>9}' for column in columns)]
    lines += [f'{name:<{width}}' + ''.join(f'{value:>9.4f}' for value in row)
              for name, row in rows.items()]
    return '\n'.join(lines)

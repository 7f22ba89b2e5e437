"""Images of a config's data set with their boxes, to be looked at."""
import copy
from typing import List, Tuple

import numpy as np
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset

# For evaluation, boxes are those of the image in its own size, whatever the pipeline does to it.
AS_IT_IS = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_path', 'img_shape')),
]


def annotated_images(cfg: Config, split: str) -> BaseDataset:
    """Builds a data set to be looked at: training images as augmented, others as they are.

    Args:
        cfg (Config): The config; its scope has to be in place.
        split (str): Whose loader's data set: ``train``, ``val`` or ``test``.

    Returns:
        BaseDataset: With at least one image.

    Raises:
        ValueError: The config has no such loader, or is not a detector's, or nothing is left of the
            set.
    """
    if cfg.get('default_scope', 'mmdet') != 'mmdet':
        raise ValueError('the config is not that of a detector: there are no boxes to show')
    if not cfg.get(f'{split}_dataloader'):
        raise ValueError(f'the config has no {split}_dataloader')
    settings = copy.deepcopy(cfg[f'{split}_dataloader'].dataset)
    if split != 'train':
        _load_as_it_is(settings)
    dataset = DATASETS.build(settings)
    if not len(dataset):
        raise ValueError(f'{split}_dataloader.dataset holds no image (filter_cfg leaves out those '
                         'without objects)')
    return dataset


def evenly_spread(length: int, count: int) -> List[int]:
    """Indices of at most ``count`` of ``length`` images, evenly spread over them."""
    count = min(count, length)
    return [number * length // count for number in range(count)]


def annotated_image(dataset: BaseDataset, index: int) -> Tuple[np.ndarray, DetDataSample]:
    """Takes one image out of :func:`annotated_images`.

    Args:
        dataset (BaseDataset): The data set.
        index (int): Which image.

    Returns:
        tuple[ndarray, DetDataSample]: The image (H, W, 3) in RGB, and what is known of it in
        NumPy arrays, with ``gt_instances.bboxes`` (N, 4) as x1, y1, x2, y2 in its pixels.
    """
    item = dataset[index]
    sample = item['data_samples']
    sample.gt_instances.bboxes = get_box_tensor(sample.gt_instances.bboxes)
    return item['inputs'].permute(1, 2, 0).numpy()[..., ::-1], sample.numpy()  # BGR to RGB


def _load_as_it_is(settings: ConfigDict) -> None:
    """Exchanges the pipeline of a data set, or of those that it wraps."""
    wrapped = settings.get('datasets') or ([settings.dataset] if 'dataset' in settings else [])
    for inner in wrapped:
        _load_as_it_is(inner)
    if not wrapped:
        settings.pipeline = AS_IT_IS

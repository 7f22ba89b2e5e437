"""The batch of images that every measured iteration trains on."""
import copy
import time
from typing import Any, Dict, NamedTuple, Optional, Tuple

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner, set_random_seed
from mmengine.structures import InstanceData

from mmfreeze.utils.configs import input_size

BOXES = 10  # in a made-up image


class TrainingBatch(NamedTuple):
    """A batch as the training's data loader gives it.

    Args:
        data (dict): What ``train_step`` takes.
        source (str): Where it comes from, in words.
        load_seconds (float, optional): What loading and augmenting it took in this process; None
            if it was made up.
    """
    data: Dict[str, Any]
    source: str
    load_seconds: Optional[float]


def training_batch(cfg: Config, images: int) -> TrainingBatch:
    """Takes a batch from the config's training pipeline, or makes one up where its data is absent.

    Args:
        cfg (Config): With ``train_dataloader``.
        images (int): Number of images.

    Returns:
        TrainingBatch: The same for the same seed and data.

    Raises:
        ValueError: The data set has fewer images.
        FileNotFoundError: The data of a classifier is absent.
    """
    set_random_seed(0)
    try:
        data, seconds = _load(cfg, images)
    except FileNotFoundError as error:
        return made_up_batch(cfg, images, error)
    return TrainingBatch(data, 'the train pipeline of the config, loaded beforehand', seconds)


def made_up_batch(cfg: Config, images: int, error: FileNotFoundError) -> TrainingBatch:
    """Makes a batch up.

    Args:
        cfg (Config): Of a detector.
        images (int): Number of images.
        error (FileNotFoundError): Why there is no other one.

    Returns:
        TrainingBatch: Noise of the config's image size, with some boxes.

    Raises:
        FileNotFoundError: ``error``, if the config is no detector's.
    """
    if cfg.get('default_scope', 'mmdet') != 'mmdet':
        raise error
    size = input_size(cfg)
    reason = ' '.join(str(error).split())
    return TrainingBatch(_made_up(cfg, images, size), f'noise of {size[0]} x {size[1]} pixels '
                         f'with {BOXES} boxes each, for the data is absent ({reason})', None)


def _load(cfg: Config, images: int) -> Tuple[Dict[str, Any], float]:
    loader_cfg = copy.deepcopy(cfg.train_dataloader)
    loader_cfg.update(batch_size=images, num_workers=0, persistent_workers=False)
    loader_cfg.pop('prefetch_factor', None)  # of workers, of which there are none
    batches = iter(Runner.build_dataloader(loader_cfg, seed=0))
    began = time.perf_counter()
    data = next(batches, None)
    seconds = time.perf_counter() - began
    if data is None or len(data['data_samples']) < images:
        raise ValueError(f'the training set has no batch of {images} images: lower --batch')
    return data, seconds


def _made_up(cfg: Config, images: int, size: Tuple[int, int]) -> Dict[str, Any]:
    with_mask = any(step.get('with_mask') for step in cfg.get('train_pipeline', []))
    return pseudo_collate([_made_up_sample(size, with_mask) for _ in range(images)])


def _made_up_sample(size: Tuple[int, int], with_mask: bool) -> Dict[str, Any]:
    height, width = size
    scale = torch.tensor([width, height, width, height])
    corner, extent = torch.rand(BOXES, 2) * .7, .05 + torch.rand(BOXES, 2) * .25
    boxes = torch.cat([corner, corner + extent], 1) * scale
    objects = InstanceData(bboxes=HorizontalBoxes(boxes),
                           labels=torch.zeros(BOXES, dtype=torch.long))
    if with_mask:
        masks = torch.zeros(BOXES, height, width, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.long().tolist()):
            mask[y1:y2, x1:x2] = 1
        objects.masks = BitmapMasks(masks.numpy(), height, width)
    sample = DetDataSample(metainfo=dict(
        img_id=0, img_path='', img_shape=size, ori_shape=size, scale_factor=(1., 1.), flip=False))
    sample.gt_instances, sample.ignored_instances = objects, InstanceData(
        bboxes=HorizontalBoxes(torch.zeros(0, 4)), labels=torch.zeros(0, dtype=torch.long))
    return dict(inputs=torch.randint(0, 256, (3, height, width), dtype=torch.uint8),
                data_samples=sample)

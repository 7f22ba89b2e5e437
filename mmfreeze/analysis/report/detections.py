"""What the models of several runs find in the same few images."""
import copy
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from mmfreeze.engine.exact.checkpoints import find_last_whole_checkpoint

from ..annotated_images import annotated_image, annotated_images, evenly_spread
from ..runs import Run
from .pictures import image_uri

# What is shown of a model: detections of at least this score.
SCORE = .5
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'


class Box(NamedTuple):
    """An object: corner and size in pixels of the image, class, and score of a detection."""
    x: float
    y: float
    width: float
    height: float
    label: str
    score: Optional[float] = None


class Panel(NamedTuple):
    """The boxes that one side has for an image.

    Args:
        title (str): Whose boxes they are.
        boxes (list[Box]): The boxes.
    """
    title: str
    boxes: List[Box]


class Sample(NamedTuple):
    """An image and what was found in it.

    Args:
        path (str): Where it lies.
        width (int): In pixels, which the boxes refer to.
        height (int): Likewise.
        picture (str): It as a data URI, perhaps smaller.
        panels (list[Panel]): The ground truth, then each model's detections.
    """
    path: str
    width: int
    height: int
    picture: str
    panels: List[Panel]

    @property
    def letters(self) -> Dict[str, str]:
        """A short name for each class that is in it: names would cover small objects."""
        classes = sorted({box.label for panel in self.panels for box in panel.boxes})
        return {label: LETTERS[number % len(LETTERS)] * (number // len(LETTERS) + 1)
                for number, label in enumerate(classes)}


def sample_detections(runs: Dict[str, Run], count: int) -> Tuple[List[Sample], List[str]]:
    """Lets the last checkpoint of each run look at images of the first run's validation set.

    Args:
        runs (dict[str, Run]): The runs by the names to show; one whose checkpoint or config is
            absent is left out.
        count (int): How many images, evenly spread over the set.

    Returns:
        tuple[list[Sample], list[str]]: The images, and a sentence for whatever is missing.
    """
    first = next(iter(runs))
    try:
        samples = _ground_truth(runs[first], count)
    # Whatever goes wrong in a data set or a model of somebody's own, the page is about more.
    except Exception as error:
        return [], [f'There are none, for the validation set of {first} cannot be read: '
                    f'{_brief(error)}.']
    notes = []
    for name, run in runs.items():
        try:
            found = _detect(run, [sample.path for sample in samples])
        except Exception as error:
            notes.append(f'Those of {name} are missing: {_brief(error)}.')
            continue
        for sample, boxes in zip(samples, found):
            sample.panels.append(Panel(name, boxes))
    return samples, notes


def _ground_truth(run: Run, count: int) -> List[Sample]:
    cfg = _config(run)
    dataset = annotated_images(cfg, 'val')
    samples = []
    for index in evenly_spread(len(dataset), count):
        image, truth = annotated_image(dataset, index)
        objects = truth.gt_instances
        boxes = list(_boxes(objects.bboxes, objects.labels, dataset.metainfo['classes']))
        samples.append(Sample(truth.img_path, image.shape[1], image.shape[0], image_uri(image),
                              [Panel('ground truth', boxes)]))
    return samples


def _detect(run: Run, paths: Sequence[str]) -> List[List[Box]]:
    cfg = _config(run)
    # The palette would take the test set, which may not be here.
    model = init_detector(cfg, str(_checkpoint(run.path)), palette='random', device=get_device())
    found = []
    for path in paths:
        objects = inference_detector(model, path).pred_instances
        objects = objects[objects.scores >= SCORE].cpu().numpy()
        found.append(list(_boxes(objects.bboxes, objects.labels, model.dataset_meta['classes'],
                                 objects.scores)))
    return found


def _config(run: Run) -> Config:
    """A copy of the run's config, with its registries in place."""
    if run.config is None:
        raise FileNotFoundError(f'there is no config in {run.path}')
    if run.config.get('default_scope', 'mmdet') != 'mmdet':
        raise ValueError('it is not the run of a detector')
    if run.config.get('custom_imports'):
        import_modules_from_strings(**run.config.custom_imports)
    init_default_scope('mmdet')
    return copy.deepcopy(run.config)  # building a model of it changes it, deep inside


def _checkpoint(work_dir: Path) -> Path:
    """The last checkpoint of a run, else its best one."""
    best = sorted(work_dir.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    try:
        last, _ = find_last_whole_checkpoint(work_dir)
    except ValueError:
        last = None
    if last is None and not best:
        raise FileNotFoundError(f'there is no whole checkpoint in {work_dir}')
    return last or best[-1]


def _boxes(corners: np.ndarray, labels: np.ndarray, classes: Sequence[str],
           scores: Optional[np.ndarray] = None) -> Iterator[Box]:
    """Makes boxes of corners (N, 4), labels (N, ) and scores (N, )."""
    for number, ((left, top, right, bottom), label) in enumerate(zip(corners.tolist(), labels)):
        yield Box(left, top, right - left, bottom - top, classes[int(label)],
                  None if scores is None else float(scores[number]))


def _brief(error: Exception) -> str:
    text = ' '.join(str(error).split()).rstrip('.')
    return text[:300] or type(error).__name__

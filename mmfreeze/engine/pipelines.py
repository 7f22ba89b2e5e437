"""What a training's pipeline shows of a sample: always the same, one of some views, or anything."""
from typing import Any, Dict, Iterator, Optional, Tuple

from mmengine.runner import Runner
from torch import nn

from mmfreeze.datasets.transforms import LoadImageUnlessStored, ReplayableViews
from mmfreeze.models.data_preprocessors import StoredViewsPreprocessor

# Transforms of mmcv, mmdet, mmpretrain and of this project that draw nothing. Nor do they drop a
# sample, as FilterAnnotations may: data sets then draw another one in its place.
FIXED = frozenset((
    'CenterCrop', 'FixShapeResize', 'LoadAnnotations', 'LoadImageFromFile', 'LoadImageFromNDArray',
    'NumpyToPIL', 'PILToNumpy', 'PackDetInputs', 'PackInputs', 'Pad', 'PadToSize', 'Resize',
    'ResizeEdge', 'ToTensor', 'Transpose'))
VIEWS, LOADING = ReplayableViews.__name__, LoadImageUnlessStored.__name__
# What does without pixels.
BARE = frozenset((VIEWS, LOADING, 'LoadAnnotations', 'PackDetInputs'))
# Hooks of mmdet that draw the images of a training batch.
LOOKING = frozenset(('TrainAugmentDetVisualizationHook',))
# Hooks that exchange the pipeline.
SWITCHING = frozenset(('PipelineSwitchHook', 'SwitchRecipeHook'))
# Augmentations of batches that draw nothing.
FIXED_AUGMENTS = frozenset(('BatchFixedSizePad',))


def num_views(dataset_cfg: Any) -> int:
    """How many views of a sample a data set shows.

    Args:
        dataset_cfg (dict): Its config.

    Returns:
        int: That of its ``ReplayableViews``, or 0 if there is none among its transforms (or only
        within another one, which may not even call it).

    Raises:
        ValueError: Data sets within it show different numbers of views.
    """
    settings = [{key: step[key] for key in step if key not in ('type', '_scope_')}
                for name, step in _transforms(dataset_cfg) if name == VIEWS]
    found = {len(ReplayableViews(**each).views) for each in settings}
    if len(found) > 1:
        raise ValueError('train_dataloader.dataset: all ReplayableViews must have the same '
                         f'num_views, but they have {", ".join(map(str, sorted(found)))}')
    return found.pop() if found else 0


def can_skip_images(runner: Runner, dataset_cfg: Any, preprocessor: nn.Module) -> bool:
    """Whether a training can do without the pixels of samples whose features are stored.

    Args:
        runner (Runner): Whose hooks may look at them.
        dataset_cfg (dict): Config of the training set.
        preprocessor (nn.Module): The model's data preprocessor.
    """
    names = {name for name, _ in _transforms(dataset_cfg)}
    return (names <= BARE and {VIEWS, LOADING} <= names
            and isinstance(preprocessor, StoredViewsPreprocessor)
            and not any(type(hook).__name__ in LOOKING for hook in runner.hooks))


def drawing_transform(dataset_cfg: Any) -> Optional[str]:
    """The first transform of a data set that is not known to show a sample alike again.

    Args:
        dataset_cfg (dict): Config of the data set.

    Returns:
        str, optional: Its name; None if there is none.
    """
    for name, step in _transforms(dataset_cfg):
        if name not in FIXED | BARE:
            return name
        if step.get('ignore_empty'):  # where there is no image the data set draws another sample
            return f'{name}(ignore_empty=True)'
    return None


def require_replayable(runner: Runner, dataset_cfg: Any, preprocessor: nn.Module) -> None:
    """Checks that what a training shows of a sample can be had again.

    Args:
        runner (Runner): Whose hooks may exchange the pipeline.
        dataset_cfg (dict): Config of the training set.
        preprocessor (nn.Module): The model's data preprocessor.

    Raises:
        ValueError: A transform, an augmentation of batches or a hook is not known to allow it.
    """
    drawing = drawing_transform(dataset_cfg)
    if drawing is not None:
        _refuse('train_dataloader.dataset', drawing)
    augments = getattr(preprocessor, 'batch_augments', None)
    if augments is not None:
        for augment in augments if isinstance(augments, nn.ModuleList) else [augments]:
            if type(augment).__name__ not in FIXED_AUGMENTS:
                _refuse('model.data_preprocessor.batch_augments', type(augment).__name__)
    for hook in runner.hooks:
        if type(hook).__name__ in SWITCHING:
            _refuse('custom_hooks', type(hook).__name__)


def _refuse(where: str, name: str) -> None:
    raise ValueError(
        f'{where}: {name} may show a sample in more ways than stored features can represent: use '
        'ReplayableViews, which resizes, crops, flips and pads in a few ways that come back, or '
        'train without store')


def _transforms(dataset: Any) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Names and configs of the transforms of a data set and of those within it."""
    if isinstance(dataset, (list, tuple)):
        for item in dataset:
            yield from _transforms(item)
    elif isinstance(dataset, dict):
        for step in dataset.get('pipeline') or ():
            if not isinstance(step, dict):  # any callable will do
                yield getattr(step, '__name__', type(step).__name__), {}
                continue
            kind = step['type']
            name = kind if isinstance(kind, str) else kind.__name__
            yield name.rpartition('.')[2], step
        for key in ('dataset', 'datasets'):
            yield from _transforms(dataset.get(key))

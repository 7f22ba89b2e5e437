"""Which trainings show a sample alike in every epoch, as stored features take it."""
from typing import Any, Iterator

from mmengine.model import is_model_wrapper
from torch import nn

# Transforms of mmcv, mmdet, mmpretrain and of this project that draw nothing. Nor do they drop a
# sample, as FilterAnnotations may: data sets then draw another one in its place.
FIXED = frozenset((
    'CenterCrop', 'FixShapeResize', 'LoadAnnotations', 'LoadImageFromFile', 'LoadImageFromNDArray',
    'NumpyToPIL', 'PILToNumpy', 'PackDetInputs', 'PackInputs', 'Pad', 'PadToSize', 'Resize',
    'ResizeEdge', 'ToTensor', 'Transpose'))


def require_fixed_views(dataset_cfg: Any, model: nn.Module) -> None:
    """Checks that a training shows each sample in the same way in every epoch.

    Args:
        dataset_cfg (dict): Config of the training set.
        model (nn.Module): With a data preprocessor.

    Raises:
        ValueError: A transform, or an augmentation of batches, is not known to draw nothing.
    """
    for name in _transforms(dataset_cfg):
        if name.rpartition('.')[2] not in FIXED:
            _refuse('train_dataloader.dataset', name)
    model = model.module if is_model_wrapper(model) else model
    augments = getattr(model.data_preprocessor, 'batch_augments', None)
    if augments is None:
        return
    for augment in augments if isinstance(augments, nn.ModuleList) else [augments]:
        name = type(augment).__name__
        if name != 'BatchFixedSizePad':
            _refuse('model.data_preprocessor.batch_augments', name)


def _refuse(where: str, name: str) -> None:
    raise ValueError(f'{where}: {name} may show a sample differently in each epoch, which stored '
                     'features cannot represent: remove it, or train without store')


def _transforms(dataset: Any) -> Iterator[str]:
    """Names of the transforms of a data set and of those within it."""
    if isinstance(dataset, (list, tuple)):
        for item in dataset:
            yield from _transforms(item)
    elif isinstance(dataset, dict):
        for step in dataset.get('pipeline') or ():
            kind = step['type']
            yield kind if isinstance(kind, str) else kind.__name__
        for key in ('dataset', 'datasets'):
            yield from _transforms(dataset.get(key))

"""Which trainings show a sample alike in every epoch, as stored features take it."""
from typing import Any, Iterator

from mmengine.runner import Runner
from torch import nn

# Transforms of mmcv, mmdet, mmpretrain and of this project that draw nothing. Nor do they drop a
# sample, as FilterAnnotations may: data sets then draw another one in its place.
FIXED = frozenset((
    'CenterCrop', 'FixShapeResize', 'LoadAnnotations', 'LoadImageFromFile', 'LoadImageFromNDArray',
    'NumpyToPIL', 'PILToNumpy', 'PackDetInputs', 'PackInputs', 'Pad', 'PadToSize', 'Resize',
    'ResizeEdge', 'ToTensor', 'Transpose'))


def require_fixed_views(runner: Runner, dataset_cfg: Any, preprocessor: nn.Module) -> None:
    """Checks that a training shows each sample in the same way in every epoch.

    Args:
        runner (Runner): Whose hooks may exchange the pipeline.
        dataset_cfg (dict): Config of the training set.
        preprocessor (nn.Module): The model's data preprocessor.

    Raises:
        ValueError: A transform, an augmentation of batches or a hook is not known to do so.
    """
    for name in _transforms(dataset_cfg):
        if name.rpartition('.')[2] not in FIXED:
            _refuse('train_dataloader.dataset', name)
    augments = getattr(preprocessor, 'batch_augments', None)
    if augments is not None:
        for augment in augments if isinstance(augments, nn.ModuleList) else [augments]:
            if type(augment).__name__ != 'BatchFixedSizePad':
                _refuse('model.data_preprocessor.batch_augments', type(augment).__name__)
    for hook in runner.hooks:
        if type(hook).__name__ in ('PipelineSwitchHook', 'SwitchRecipeHook'):
            _refuse('custom_hooks', type(hook).__name__)


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
            name = kind if isinstance(kind, str) else kind.__name__
            # Where there is no image the data set draws another sample.
            yield f'{name}(ignore_empty=True)' if step.get('ignore_empty') else name
        for key in ('dataset', 'datasets'):
            yield from _transforms(dataset.get(key))

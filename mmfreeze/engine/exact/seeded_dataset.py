"""Augmentation that depends on the draw alone, not on the process that does it."""
from typing import Any, Union

from mmdet.registry import DATASETS
from mmengine.structures import BaseDataElement

from mmfreeze.datasets.transforms.asked_view import asking

from .seeded_batch_sampler import Draw
from .seeding import seeded

# Under these names a sample's data element says which one it is, and how it is shown.
SAMPLE_INDEX, VIEW = 'sample_index', 'view'


@DATASETS.register_module()
class SeededDataset:
    """Seeds the generators around each sample of a data set, and puts them back.

    The outermost wrapper: whatever is drawn inside (flips, crops, the partners of a mosaic) then
    follows from the seed, the batch and the index, in whichever worker and after whichever
    interruption. A sample that has a data element (``data_samples``) gets its index into its
    meta information. Everything else is asked of the data set itself, and set there: hooks exchange
    its ``pipeline`` (``PipelineSwitchHook``).

    Transforms that remember earlier samples (``CachedMosaic``, ``CachedMixUp``) are beyond it.

    Args:
        dataset (dict): Config of the data set.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset = DATASETS.build(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Union[int, Draw]) -> Any:
        if isinstance(index, Draw):
            with seeded(*index.key, int(index)), asking(index.view, index.with_image):
                sample = self.dataset[int(index)]
        else:  # somebody who looks at the data, not the training
            sample = self.dataset[index]
        element = sample.get('data_samples') if isinstance(sample, dict) else None
        if isinstance(element, BaseDataElement):
            view = getattr(index, 'view', None) or 0
            element.set_metainfo({SAMPLE_INDEX: int(index), VIEW: view})
        return sample

    def __getattr__(self, name: str) -> Any:
        # While it is unpickled there is no data set; and torch would ask that one for whole
        # batches (``__getitems__``), past the seeds.
        if name == 'dataset' or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == 'dataset':
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)

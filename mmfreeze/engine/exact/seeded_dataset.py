"""Augmentation that depends on the draw alone, not on the process that does it."""
from typing import Any

from mmdet.registry import DATASETS

from .seeded_batch_sampler import Draw
from .seeding import seeded


@DATASETS.register_module()
class SeededDataset:
    """Seeds the generators around each sample of a data set, and puts them back.

    The outermost wrapper: whatever is drawn inside (flips, crops, the partners of a mosaic) then
    follows from the seed, the batch and the index, in whichever worker and after whichever
    interruption. Everything else is asked of the data set itself.

    Args:
        dataset (dict): Config of the data set.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset = DATASETS.build(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Any:
        with seeded(*draw.key, int(draw)):
            return self.dataset[int(draw)]

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)

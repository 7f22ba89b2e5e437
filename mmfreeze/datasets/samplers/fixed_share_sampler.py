"""Sampling that shows each process the same samples in every epoch."""
import math
from typing import Iterator, Optional, Sized

import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler


@DATA_SAMPLERS.register_module()
class FixedShareSampler(Sampler):
    """Gives each of several processes every n-th sample, and shuffles within these.

    ``DefaultSampler`` shuffles first and deals out then, so that each process sees everything
    sooner or later, and would have to store features of everything. In a single process both draw
    the same. Shares are filled up from their own beginning to one length.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Whether each epoch has another order. Defaults to True.
        seed (int, optional): Seed of the order, the same in all processes. Defaults to None: one
            that they agree on.

    Raises:
        ValueError: There are fewer samples than processes.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: Optional[int] = None) -> None:
        rank, world_size = get_dist_info()
        if len(dataset) < world_size:
            raise ValueError(f'{len(dataset)} samples are too few for {world_size} processes')
        self.dataset, self.shuffle, self.epoch = dataset, shuffle, 0
        self.seed = sync_random_seed() if seed is None else seed
        self.share = range(rank, len(dataset), world_size)
        self._length = math.ceil(len(dataset) / world_size)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(len(self.share), generator=generator).tolist()
        else:
            order = range(len(self.share))
        indices = [self.share[i] for i in order]
        return iter(indices + indices[:self._length - len(indices)])

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, on which the order depends."""
        self.epoch = epoch

"""Batches that carry the seed of their samples, from any batch on."""
from typing import Iterator, List, Optional, Sequence, Tuple

from mmdet.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from .view_schedule import ViewSchedule


class Draw(int):
    """An index into a data set, with all that says how the sample is to be shown.

    Args:
        index (int): The index.
        key (tuple[int, ...]): What its augmentation is seeded from.
        view (int, optional): Which view of it, see ``ReplayableViews``. Defaults to None: whichever
            its pipeline draws.
        with_image (bool): Whether anybody looks at the pixels. Defaults to True.
    """

    key: Tuple[int, ...]
    view: Optional[int]
    with_image: bool

    def __new__(cls, index: int, key: Tuple[int, ...], view: Optional[int] = None,
                with_image: bool = True) -> 'Draw':
        draw = super().__new__(cls, index)
        draw.key, draw.view, draw.with_image = key, view, with_image
        return draw

    def __getnewargs__(self) -> tuple:
        return int(self), self.key, self.view, self.with_image


@DATA_SAMPLERS.register_module()
class SeededBatchSampler:
    """Numbers the batches of a run and gives their indices the key (seed, number of the batch).

    Args:
        sampler (Sampler): Draws the indices.
        batch_size (int): Samples per batch.
        drop_last (bool, optional): Whether an incomplete last batch is left out. Defaults to None:
            what ``batch_sampler`` does by default, and without one, no.
        batch_sampler (dict, optional): Config of what makes batches of the indices, such as
            ``AspectRatioBatchSampler``. Defaults to None: one after the other.
        endless (bool): Whether one iteration goes on over all passes through the data, as an
            iteration loop wants it, or is one pass. Defaults to False.
        views (int): How many views of each sample there are to draw from; 0: pipelines know
            nothing of views. Defaults to 0.

    Attributes:
        with_images (bool): Whether anybody looks at the pixels of the batches to come.
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: Optional[bool] = None,
                 batch_sampler: Optional[dict] = None, endless: bool = False,
                 views: int = 0) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.endless = endless
        if batch_sampler is None:
            self.batches = BatchSampler(sampler, batch_size, bool(drop_last))
        else:
            asked = {} if drop_last is None else dict(drop_last=drop_last)
            self.batches = DATA_SAMPLERS.build(batch_sampler, default_args=dict(
                asked, sampler=sampler, batch_size=batch_size))
        if not len(self.batches):
            raise ValueError(f'the data set gives no batch of {batch_size} images: it is empty, or '
                             'has fewer and drop_last leaves them out')
        self.seed, self.number, self.skip = 0, 0, 0
        self.with_images = True
        self._schedule = ViewSchedule(views)

    def begin(self, seed: int, number: int, skip: int) -> None:
        """Says where the next iteration begins.

        Args:
            seed (int): The run's seed, also for the sampler: a resumed run may learn it late.
            number (int): Batches that came before in the whole run.
            skip (int): How many of them are of this iteration; their samples are not loaded.
        """
        self.seed, self.number, self.skip = seed, number, skip
        if hasattr(self.sampler, 'seed'):
            self.sampler.seed = seed

    def views(self, number: int, samples: Sequence[int]) -> List[Optional[int]]:
        """The views in which samples are shown, if they are, in the pass of a certain batch.

        Args:
            number (int): Batches that come before it in the whole run.
            samples (Sequence[int]): Indices into the data set.

        Returns:
            list[int | None]: For each of them the number of a view, or None if there are none.
        """
        return self._schedule.views(self.seed, number // len(self.batches), samples)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[List[Draw]]:
        first = self.number - self.skip
        for i, batch in enumerate(self._passes(), first):
            if i >= self.number:
                yield [Draw(index, (self.seed, i), view, self.with_images)
                       for index, view in zip(batch, self.views(i, batch))]

    def _passes(self) -> Iterator[List[int]]:
        if not self.endless:
            yield from self.batches
            return
        epoch = 0
        while True:
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            yield from self.batches
            epoch += 1

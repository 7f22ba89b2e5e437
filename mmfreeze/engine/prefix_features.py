"""Computing what a frozen prefix makes of training samples."""
import hashlib
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import mmengine.dist as dist
import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmfreeze.freezing import FeatureStore, LayerStack, PrefixCut, is_part_of
from mmfreeze.freezing.store import DTYPES
from mmfreeze.models.data_preprocessors import NoImages

from .exact.seeded_batch_sampler import Draw
from .exact.seeded_dataset import SAMPLE_INDEX, VIEW
from .exact.seeding import seeded
from .pipelines import num_views

# A sample of this process's share, by its place in there, and a view of it.
Key = Tuple[int, int]


class Generation(NamedTuple):
    """Stored features behind one boundary.

    Args:
        cut (PrefixCut): The boundary.
        store (FeatureStore): The features.
        dtypes (list[torch.dtype]): As they are computed.
    """
    cut: PrefixCut
    store: FeatureStore
    dtypes: List[torch.dtype]

    def as_computed(self, stored: Sequence[Tensor], device: torch.device) -> List[Tensor]:
        """What the store gave, in the dtypes in which it was computed; of shapes (B, ...)."""
        return [level.to(device, dtype) for level, dtype in zip(stored, self.dtypes)]


class PrefixFeatures:
    """Computes features of training samples, in batches of the training's size.

    The size matters: convolutions may add in another order at another one. A last batch that is
    too small is therefore filled up.

    Of several processes each has its share of the samples, as ``FixedShareSampler`` deals them out.

    A chain is the growing numbers of layers behind which features are stored, one after the other.
    Features of a chain are rounded at each of its boundaries but the last, as the store does, so
    that they are the same from the images as from the generation before.

    Args:
        runner (Runner): With its training data loader, whose data set is a ``SeededDataset``.
        stack (LayerStack): The layers.
        dtype (str): How the store keeps numbers.
    """

    def __init__(self, runner: Runner, stack: LayerStack, dtype: str) -> None:
        self._stack, self._wrapper = stack, runner.optim_wrapper
        self._model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._loader: DataLoader = runner.train_loop.dataloader
        self._settings = (runner.train_loop.dataset_cfg, *(
            runner.cfg.get(key) for key in ('model', 'data_preprocessor', 'optim_wrapper')))
        self._dtype = DTYPES[dtype]
        self._cuts: Dict[int, PrefixCut] = {}
        self._image_shape: Optional[Tuple[int, ...]] = None
        self._input_shape: Optional[Tuple[int, ...]] = None
        rank, self._stride = dist.get_dist_info()
        self._share = range(rank, len(self._loader.dataset), self._stride)
        self._max_iters = runner.max_iters
        self.batch_size: int = self._loader.batch_sampler.batch_size
        self.samples = len(self._share)
        self.views = max(1, num_views(runner.train_loop.dataset_cfg))

    def try_out(self, chain: Sequence[int]) -> Tuple[List[Tensor], float]:
        """Computes the features of the first batch from the images.

        Args:
            chain (Sequence[int]): Numbers of layers.

        Returns:
            tuple[list[Tensor], float]: Features of shapes (B, ...), and the seconds that a batch
            takes in this way.

        Raises:
            ValueError: The backbone cannot be cut there, or samples do not say which they are.
        """
        keys = [(row, 0) for row in range(min(self.batch_size, self.samples))]
        began = now()
        batch = self.load(*_in_batches(keys, self.batch_size))
        images = self.images(batch)
        self.keys(batch)
        loading = now() - began
        for n in chain:
            if n not in self._cuts:
                self._cuts[n] = PrefixCut(self._model, self._stack, n, images)
        began = now()
        features = self.from_batch(batch, chain)
        return features, loading + now() - began

    def load(self, keys: Sequence[Key]) -> Dict[str, Any]:
        """A batch of the training, with images, as the data loader gives it."""
        return next(self._load([keys], workers=0))

    def from_batch(self, batch: Dict[str, Any], chain: Sequence[int]) -> List[Tensor]:
        """Features of a batch as the data loader gives it, of shapes (B, ...).

        Raises:
            ValueError: Its images differ in size from those of other samples.
        """
        cuts = [self._cuts[n] for n in chain]
        with self._wrapper.optim_context(self._model):
            features = cuts[0].from_images(self.images(batch))
            for before, cut in zip(cuts, cuts[1:]):
                features = cut.from_features(before, [
                    level.to(self._dtype).to(level.dtype) for level in features])
        return features

    def from_images(self, keys: Sequence[Key], chain: Sequence[int]
                    ) -> Iterator[Tuple[List[Key], List[Tensor]]]:
        """Loads samples and computes their features; yields keys and features batch by batch."""
        for batch in self._load(_in_batches(keys, self.batch_size), self._loader.num_workers):
            yield self.keys(batch), self.from_batch(batch, chain)

    def from_generation(self, keys: Sequence[Key], source: Generation, num_layers: int
                        ) -> Iterator[Tuple[List[Key], List[Tensor]]]:
        """Computes features from stored ones; yields keys and features batch by batch."""
        for batch in _in_batches(keys, self.batch_size):
            with self._wrapper.optim_context(self._model):
                features = self._cuts[num_layers].from_features(
                    source.cut, source.as_computed(source.store.get(batch), self.device))
            yield batch, features

    def passes_left(self, iteration: int) -> int:
        """Passes through the data that are not over, the running one among them."""
        unit = len(self._loader.batch_sampler)
        return -(-self._max_iters // unit) - iteration // unit

    def keys_of_pass(self, iteration: int) -> List[Key]:
        """What this process is shown in the pass through the data that an iteration belongs to."""
        views = self._loader.batch_sampler.views(iteration, self._share)
        return [(row, view or 0) for row, view in enumerate(views)]

    def keys_to_come(self, iteration: int) -> Set[Key]:
        """What this process is shown from then on, in the running pass and in those behind it."""
        unit, keys = len(self._loader.batch_sampler), set()
        for i in range(self.passes_left(iteration)):
            keys.update(self.keys_of_pass(iteration + i * unit))
            if len(keys) == self.samples * self.views:
                break
        return keys

    def cut(self, num_layers: int) -> PrefixCut:
        """The boundary behind so many layers, which was tried out."""
        return self._cuts[num_layers]

    def fingerprint(self, chain: Sequence[int]) -> str:
        """A digest of all that the features of a chain follow from."""
        dataset = self._loader.dataset
        info = getattr(dataset, 'get_data_info', None)
        annotations = Path(getattr(dataset, 'ann_file', None) or '/nowhere')
        stat = annotations.stat() if annotations.is_file() else None
        digest = hashlib.sha256(repr((
            chain, self._share, self._settings, stat and (stat.st_size, stat.st_mtime_ns),
            # Data sets within others have annotations of their own.
            [info(i).get('img_path') for i in self._share] if info else None)).encode())
        names = [name for layer in self._stack.names[:chain[-1]] for name in layer]
        values = {name: value for name, value in self._model.state_dict().items()
                  if is_part_of(name, names)}
        # What images are normalised with, which is in no state dict.
        values.update(self._model.data_preprocessor.named_buffers())
        for name, value in values.items():
            digest.update(name.encode())
            digest.update(value.cpu().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._stack.params[0][0].device

    def no_images(self, keys: Sequence[Key]) -> NoImages:
        """What stands for the images of a batch whose features are there."""
        return NoImages((len(keys), *self._input_shape))

    def keys(self, batch: Dict[str, Any]) -> List[Key]:
        """Sample and view of each sample of a batch.

        Raises:
            ValueError: The samples do not say which they are.
        """
        samples = batch.get('data_samples') or ()
        if not samples or any(SAMPLE_INDEX not in sample for sample in samples):
            raise ValueError("store: the samples say nothing of who they are; a pipeline's last "
                             'transform has to pack data_samples (PackDetInputs, PackInputs)')
        return [(sample.get(SAMPLE_INDEX) // self._stride, sample.get(VIEW))
                for sample in samples]

    def images(self, batch: Dict[str, Any]) -> Tensor:
        """The images of a batch as the backbone gets them, of shape (B, C, H, W)."""
        for shape in (tuple(image.shape) for image in batch['inputs']):
            self._image_shape = self._image_shape or shape
            if shape != self._image_shape:
                raise ValueError(
                    f'store: training images differ in size ({self._image_shape} and {shape}), so '
                    'that features depend on what else is in a batch; end the pipeline with '
                    'PadToSize')
        images = self._model.data_preprocessor(batch, training=True)['inputs']
        self._input_shape = tuple(images.shape[1:])
        return images

    def _load(self, batches: Sequence[Sequence[Key]], workers: int) -> Iterator[Dict[str, Any]]:
        """Loads batches as the training does, and leaves the random generators alone."""
        draws = [[Draw(self._share[row], (0,), view) for row, view in batch] for batch in batches]
        with seeded(0):
            yield from DataLoader(
                self._loader.dataset, batch_sampler=draws, num_workers=workers,
                collate_fn=self._loader.collate_fn, pin_memory=self._loader.pin_memory,
                worker_init_fn=self._loader.worker_init_fn)


def _in_batches(keys: Sequence[Key], size: int) -> List[List[Key]]:
    """Batches of one size; the last one is filled up."""
    batches = [list(keys[i:i + size]) for i in range(0, len(keys), size)]
    for last in batches[-1:]:
        last += last[-1:] * (size - len(last))
    return batches


def now() -> float:
    """Seconds, when the device has done all that it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()

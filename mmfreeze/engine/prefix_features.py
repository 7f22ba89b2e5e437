"""Computing what a frozen prefix makes of training samples."""
import hashlib
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmfreeze.freezing import FeatureStore, LayerStack, PrefixCut, is_part_of
from mmfreeze.freezing.store import DTYPES

from .exact.seeded_dataset import SAMPLE_INDEX
from .exact.seeding import seeded

Key = Tuple[int, int]
# The only view so far: pipelines that draw are refused.
VIEW = 0


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

    def features(self, keys: Sequence[Key], device: torch.device) -> List[Tensor]:
        """Those of some samples, as they are computed; of shapes (len(keys), ...)."""
        return [level.to(device, dtype)
                for level, dtype in zip(self.store.get(keys), self.dtypes)]


class PrefixFeatures:
    """Computes features of training samples, in batches of the training's size.

    The size matters: convolutions may add in another order at another one. A last batch that is
    too small is therefore filled up.

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
        self._batch_size = self._loader.batch_sampler.batch_size
        self._dtype = DTYPES[dtype]
        self._cuts: Dict[int, PrefixCut] = {}
        self._image_shape: Optional[Tuple[int, ...]] = None
        self.samples = len(self._loader.dataset)

    def try_out(self, chain: Sequence[int]) -> Tuple[List[Tensor], float]:
        """Computes the features of the first batch from the images.

        Args:
            chain (Sequence[int]): Numbers of layers.

        Returns:
            tuple[list[Tensor], float]: Features of shapes (B, ...), and the seconds that it would
            take in this way for all samples.

        Raises:
            ValueError: The backbone cannot be cut there, or samples do not say which they are.
        """
        batches = self._in_batches(range(min(self._batch_size, self.samples)))
        began = _now()
        batch = next(self._load(batches, workers=0))
        images = self._images(batch)
        self.keys(batch)
        loading = _now() - began
        for n in chain:
            if n not in self._cuts:
                self._cuts[n] = PrefixCut(self._model, self._stack, n, images)
        began = _now()
        features = self.from_batch(batch, chain)
        seconds = loading + _now() - began
        return features, seconds * self.samples / self._batch_size

    def from_batch(self, batch: Dict[str, Any], chain: Sequence[int]) -> List[Tensor]:
        """Features of a batch as the data loader gives it, of shapes (B, ...).

        Raises:
            ValueError: Its images differ in size from those of other samples.
        """
        cuts = [self._cuts[n] for n in chain]
        with self._wrapper.optim_context(self._model):
            features = cuts[0].from_images(self._images(batch))
            for before, cut in zip(cuts, cuts[1:]):
                features = cut.from_features(before, [
                    level.to(self._dtype).to(level.dtype) for level in features])
        return features

    def from_images(self, samples: Sequence[int], chain: Sequence[int]
                    ) -> Iterator[Tuple[List[Key], List[Tensor]]]:
        """Loads samples and computes their features; yields keys and features batch by batch."""
        for batch in self._load(self._in_batches(samples), self._loader.num_workers):
            yield self.keys(batch), self.from_batch(batch, chain)

    def from_generation(self, samples: Sequence[int], source: Generation, num_layers: int
                        ) -> Iterator[Tuple[List[Key], List[Tensor]]]:
        """Computes features from stored ones; yields keys and features batch by batch."""
        for batch in self._in_batches(samples):
            keys = [(sample, VIEW) for sample in batch]
            with self._wrapper.optim_context(self._model):
                features = self._cuts[num_layers].from_features(
                    source.cut, source.features(keys, self.device))
            yield keys, features

    def cut(self, num_layers: int) -> PrefixCut:
        """The boundary behind so many layers, which was tried out."""
        return self._cuts[num_layers]

    def fingerprint(self, chain: Sequence[int]) -> str:
        """A digest of all that the features of a chain follow from."""
        annotations = Path(getattr(self._loader.dataset, 'ann_file', None) or '/nowhere')
        stat = annotations.stat() if annotations.is_file() else None
        digest = hashlib.sha256(repr((
            chain, self._settings, stat and (stat.st_size, stat.st_mtime_ns))).encode())
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

    @staticmethod
    def keys(batch: Dict[str, Any]) -> List[Key]:
        """Sample and view of each sample of a batch.

        Raises:
            ValueError: The samples do not say which they are.
        """
        samples = batch.get('data_samples') or ()
        if not samples or any(SAMPLE_INDEX not in sample for sample in samples):
            raise ValueError("store: the samples say nothing of who they are; a pipeline's last "
                             'transform has to pack data_samples (PackDetInputs, PackInputs)')
        return [(sample.get(SAMPLE_INDEX), VIEW) for sample in samples]

    def _images(self, batch: Dict[str, Any]) -> Tensor:
        for shape in (tuple(image.shape) for image in batch['inputs']):
            self._image_shape = self._image_shape or shape
            if shape != self._image_shape:
                raise ValueError(
                    f'store: training images differ in size ({self._image_shape} and {shape}), so '
                    'that features depend on what else is in a batch; end the pipeline with '
                    'PadToSize')
        return self._model.data_preprocessor(batch, training=True)['inputs']

    def _in_batches(self, samples: Sequence[int]) -> List[List[int]]:
        size = self._batch_size
        batches = [list(samples[i:i + size]) for i in range(0, len(samples), size)]
        for last in batches[-1:]:
            last += last[-1:] * (size - len(last))
        return batches

    def _load(self, batches: List[List[int]], workers: int) -> Iterator[Dict[str, Any]]:
        """Loads batches as the training does, and leaves the random generators alone."""
        with seeded(0):
            yield from DataLoader(
                self._loader.dataset, batch_sampler=batches, num_workers=workers,
                collate_fn=self._loader.collate_fn, pin_memory=self._loader.pin_memory,
                worker_init_fn=self._loader.worker_init_fn)


def _now() -> float:
    """Seconds, when the device has done all that it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()

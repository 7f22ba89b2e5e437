"""Training from stored features: when the store is filled, and what a batch takes from it."""
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import mmengine.dist as dist
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmfreeze.freezing import FeatureStore, LayerStack
from mmfreeze.freezing.store import DTYPES, stored_bytes

from .exact.loops import ExactLoopMixin
from .fixed_views import require_fixed_views
from .prefix_features import Generation, PrefixFeatures
from .timeline import Timeline


class StoredPrefix:
    """Keeps what the frozen layers compute of each training sample, and trains the rest from it.

    After a freeze one pass fills a new generation of the store, from the one before where there is
    one, else from the images. In training the frozen layers are not called any more. In validation
    and checkpoints the model is whole.

    Args:
        where (str): ``'ram'``, or ``'file'``: memory-mapped, in the work dir. Defaults to 'ram'.
        dtype (str): How features are kept: ``'float32'``, ``'float16'`` or ``'bfloat16'``.
            Defaults to 'float32'.
        max_gb (float): The most that it may take, in 10^9 bytes. While a generation is filled from
            the one before, both count; with room for one only, the old one goes first. Defaults
            to 8.
        no_room (str): What to do where that, or the disk, is not enough: ``'freeze'``: say so and
            let the layers run forward, or ``'error'``. Defaults to 'freeze'.
        keep (bool): Whether files stay at the end of training. Defaults to False.

    Raises:
        ValueError: A setting is unknown or contradicts another one.
    """

    def __init__(self, where: str = 'ram', dtype: str = 'float32', max_gb: float = 8.,
                 no_room: str = 'freeze', keep: bool = False) -> None:
        for name, value, known in (('where', where, ('ram', 'file')),
                                   ('dtype', dtype, tuple(DTYPES)),
                                   ('no_room', no_room, ('freeze', 'error'))):
            if value not in known:
                raise ValueError(
                    f'store.{name} must be one of {", ".join(known)}, but is {value!r}')
        if not max_gb > 0:
            raise ValueError(f'store.max_gb must be more than 0, but is {max_gb!r}')
        if keep and where == 'ram':
            raise ValueError("store.keep=True keeps files, so it needs store.where='file'")
        self.where, self.dtype, self.no_room, self.keep = where, dtype, no_room, keep
        self.max_bytes = int(max_gb * 1e9)
        # The numbers of layers behind which features were stored so far, see PrefixFeatures.
        self._chain: List[int] = []
        # The number of layers that were frozen when the last filling was tried.
        self._tried = 0
        self._generation: Optional[Generation] = None
        self._replay = ExitStack()

    def setup(self, runner: Runner, stack: LayerStack, timeline: Timeline) -> None:
        """Gets to know the run, before training.

        Raises:
            ValueError: The loop does not number its samples, the pipeline draws, or the backbone
                cannot be cut.
        """
        if not isinstance(runner.train_loop, ExactLoopMixin):
            raise ValueError(
                'store has to know which sample is which: set train_cfg.type='
                "'ExactEpochBasedTrainLoop' (or 'ExactIterBasedTrainLoop') and "
                "default_hooks.checkpoint.type='CrashSafeCheckpointHook'")
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        require_fixed_views(runner, runner.train_loop.dataset_cfg, model.data_preprocessor)
        runner.train_loop.at_exit.callback(self.after_iter)
        self._runner, self._stack, self._timeline = runner, stack, timeline
        self._features = PrefixFeatures(runner, stack, self.dtype)
        self._folder = Path(runner.work_dir) / 'feature_store'
        self._alone = dist.get_world_size() == 1
        if not self._alone:
            runner.logger.warning('store works in a single process so far: here frozen layers run '
                                  'forward')
        else:
            self._features.try_out([max(1, len(stack) // 2)])

    def before_iter(self, batch: Dict[str, Any]) -> None:
        """Lets the model take a batch's features for what its frozen layers compute.

        Args:
            batch (dict): As the data loader gives it.
        """
        if not self._alone:
            return
        if self._stack.num_frozen > self._tried:
            self._fill(self._chain + [self._stack.num_frozen])
            self._tried = self._stack.num_frozen
        if self._chain and self._generation is None:  # resumed, or it had to go for a larger one
            self._fill(self._chain)
        if self._generation is None:
            return
        keys = self._features.keys(batch)
        if self._generation.store.lacking(keys):
            self._runner.logger.warning('store: features of this batch are damaged on the disk; '
                                        'they are computed anew')
            self._generation.store.put(keys, self._features.from_batch(batch, self._chain))
        self._replay.enter_context(self._generation.cut.replay(
            self._generation.features(keys, self._features.device)))

    def after_iter(self) -> None:
        """Makes the model whole again."""
        self._replay.close()

    def close(self) -> None:
        """Ends training: gives memory back, and files unless they are to be kept."""
        if not self.keep:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._generation = None

    def state_dict(self) -> Dict[str, Any]:
        """Where features were stored, in plain types; the features are no part of it."""
        return dict(chain=list(self._chain), tried=self._tried, dtype=self.dtype)

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Takes up the state of :meth:`state_dict`."""
        self._chain, self._tried = list(state['chain']), state['tried']

    def _fill(self, chain: List[int]) -> None:
        """Fills a generation behind the last number of the chain, if that is possible."""
        try:
            features, seconds = self._features.try_out(chain)
            store = self._make_room([level.shape[1:] for level in features], chain)
            try:
                self._write(store, chain, seconds)
            except (OSError, ValueError):
                store.remove()
                raise
        except (OSError, ValueError) as error:
            if self.no_room == 'error':
                raise
            self._runner.logger.warning(f'{error}: the layers run forward')
            if chain == self._chain:  # nothing to go on from
                self._chain = []
            return
        if self._generation is not None:
            self._generation.store.remove()
        self._generation = Generation(self._features.cut(chain[-1]), store,
                                      [level.dtype for level in features])
        self._chain = chain

    def _write(self, store: FeatureStore, chain: List[int], seconds: float) -> None:
        """Fills what a store lacks, from an earlier generation if there is a whole one."""
        source = self._generation
        if source is not None and source.store.lacking():
            source = None  # damaged on the disk
        lacking = [sample for sample, _ in store.lacking()]
        self._runner.logger.info(
            f'store: {store.nbytes / 1e6:.1f} MB ({store.samples} samples of '
            + ' and '.join('x'.join(map(str, shape)) for shape in store.shapes)
            + f' in {self.dtype}) in {self.where}; filling {len(lacking)} from '
            + (f'the features before, in at most {seconds:.0f} s' if source else
               f'the images, in about {seconds * len(lacking) / store.samples:.0f} s'))
        began = time.perf_counter()
        for keys, features in (self._features.from_images(lacking, chain) if source is None else
                               self._features.from_generation(lacking, source, chain[-1])):
            store.put(keys, features)
            self._runner.train_loop.stop_if_asked()
        seconds = time.perf_counter() - began
        self._runner.logger.info(f'store: filled in {seconds:.1f} s')
        self._timeline.add_fill(
            iteration=self._runner.iter, from_layer=source.cut.num_layers if source else 0,
            to_layer=chain[-1], samples=len(lacking), bytes=store.nbytes, seconds=seconds)

    def _make_room(self, shapes: Sequence[Sequence[int]], chain: List[int]) -> FeatureStore:
        """A store for features of these shapes, empty or with what an earlier process left.

        Raises:
            ValueError: It would be larger than allowed.
            OSError: There is no room on the disk.
        """
        samples = self._features.samples
        size = stored_bytes(samples, shapes, self.dtype)
        old = self._generation.store.nbytes if self._generation else 0
        room = self.max_bytes if self.where == 'file' else min(self.max_bytes, _free_memory() + old)
        if size > room:
            raise ValueError(
                f'store: no room for {size / 1e9:.3g} GB of features behind layer {chain[-1] - 1}: '
                f'store.max_gb is {self.max_bytes / 1e9:g}'
                + (f', {room / 1e9:.3g} GB of memory are free' if room < self.max_bytes else ''))
        if size + old > room:
            self._generation.store.remove()
            self._generation = None
        folder = self._folder / f'layers_{chain[-1]}' if self.where == 'file' else None
        live = folder, self._generation and self._generation.store.folder
        for left in self._folder.glob('layers_*'):  # by a process that died
            if left not in live:
                shutil.rmtree(left, ignore_errors=True)
        return FeatureStore(samples, shapes, self.dtype, folder=folder,
                            content=self._features.fingerprint(chain) if folder else '')


def _free_memory() -> int:
    """Bytes of memory that can be had without swapping, as Linux estimates it."""
    lines = dict(line.split(':') for line in Path('/proc/meminfo').read_text().splitlines())
    return int(lines['MemAvailable'].split()[0]) * 1024

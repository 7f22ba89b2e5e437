"""Training from stored features: when the store is filled, and what a batch takes from it."""
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import mmengine.dist as dist
import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmfreeze.datasets import FixedShareSampler
from mmfreeze.freezing import FeatureStore, LayerStack
from mmfreeze.freezing.store import DTYPES

from .exact.loops import ExactLoopMixin
from .pipelines import can_skip_images, require_replayable
from .prefix_features import Generation, Key, PrefixFeatures, now
from .read_ahead import ReadAhead
from .store_costs import StoreCosts, measure_costs
from .store_room import StoreRoom
from .timeline import Timeline


class StoredPrefix:
    """Keeps what the frozen layers compute of each view of a sample, and trains the rest from it.

    Before a pass through the data the views that it shows are computed, unless they were in an
    earlier pass. After a freeze what is stored moves on: a new generation of features is computed
    from the old one, as far as it is going to be shown again. In training the frozen layers are not
    called any more, and images need not be loaded (``LoadImageUnlessStored``). In validation and
    checkpoints the model is whole.

    Of several processes each keeps its own share of the samples (``FixedShareSampler``).

    Args:
        where (str): ``'ram'``, or ``'file'``: memory-mapped, in the work dir. Defaults to 'ram'.
        dtype (str): How features are kept: ``'float32'``, ``'float16'`` or ``'bfloat16'``.
            Defaults to 'float32'.
        max_gb (float): The most that it may take, in 10^9 bytes, of each process. While a
            generation is computed from the one before, both count; with room for one only, the old
            one goes first. Defaults to 8.
        when (str): ``'always'``, or ``'auto'``: only where it pays, by what is measured at the
            start, see :class:`~mmfreeze.engine.store_costs.StoreCosts`. Defaults to 'always'.
        no_room (str): What to do where that, or the disk, is not enough: ``'freeze'``: say so and
            let the layers run forward, or ``'error'``. Defaults to 'freeze'.
        keep (bool): Whether files stay at the end of training. Defaults to False.

    Raises:
        ValueError: A setting is unknown or contradicts another one.
    """

    def __init__(self, where: str = 'ram', dtype: str = 'float32', max_gb: float = 8.,
                 when: str = 'always', no_room: str = 'freeze', keep: bool = False) -> None:
        for name, value, known in (('where', where, ('ram', 'file')),
                                   ('dtype', dtype, tuple(DTYPES)),
                                   ('when', when, ('always', 'auto')),
                                   ('no_room', no_room, ('freeze', 'error'))):
            if value not in known:
                raise ValueError(
                    f'store.{name} must be one of {", ".join(known)}, but is {value!r}')
        if not max_gb > 0:
            raise ValueError(f'store.max_gb must be more than 0, but is {max_gb!r}')
        if keep and where == 'ram':
            raise ValueError("store.keep=True keeps files, so it needs store.where='file'")
        self.where, self.dtype, self.no_room, self.keep = where, dtype, no_room, keep
        self.when = when
        self.max_bytes = int(max_gb * 1e9)
        # The numbers of layers behind which features were stored so far, see PrefixFeatures.
        self._chain: List[int] = []
        # The number of layers that were frozen when the last move was tried.
        self._tried = 0
        self._costs: Optional[StoreCosts] = None
        self._generation: Optional[Generation] = None
        # Damaged records of the generation that were told of.
        self._damage_told = 0
        self._replay = ExitStack()

    def setup(self, runner: Runner, stack: LayerStack, timeline: Timeline) -> None:
        """Gets to know the run, before training.

        Raises:
            ValueError: The loop does not number its samples, the pipeline draws more than views,
                or the backbone cannot be cut.
        """
        if not isinstance(runner.train_loop, ExactLoopMixin):
            raise ValueError(
                'store has to know which sample is which: set train_cfg.type='
                "'ExactEpochBasedTrainLoop' (or 'ExactIterBasedTrainLoop') and "
                "default_hooks.checkpoint.type='CrashSafeCheckpointHook'")
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        loop = runner.train_loop
        require_replayable(runner, loop.dataset_cfg, model.data_preprocessor)
        self._alone = dist.get_world_size() == 1
        if not self._alone and not isinstance(
                loop.dataloader.batch_sampler.sampler, FixedShareSampler):
            raise ValueError('of several processes each stores its own share of the samples, so '
                             "store needs train_dataloader.sampler.type='FixedShareSampler'")
        loop.at_exit.callback(self.after_iter)
        self._runner, self._stack, self._timeline = runner, stack, timeline
        self._features = PrefixFeatures(runner, stack, self.dtype)
        self._skips_images = can_skip_images(runner, loop.dataset_cfg, model.data_preprocessor)
        self._folder = Path(runner.work_dir) / (
            'feature_store' if self._alone else f'feature_store_{dist.get_rank()}')
        self._room = StoreRoom(self._folder if self.where == 'file' else None, self.dtype,
                               self.max_bytes)
        self._ahead = ReadAhead()
        loop.at_exit.callback(self._ahead.close)
        features, self._batch_seconds = self._features.try_out([max(1, len(stack) // 2)])
        if self.when == 'auto' and self._costs is None:
            self._costs = measure_costs(runner, stack, self._features, features, self.dtype,
                                        self._room.folder, counts_loading=self._skips_images)
            runner.logger.info(
                f'store: {self._costs.describe(self._features.passes_left(runner.iter))}')

    def before_iter(self, batch: Dict[str, Any]) -> None:
        """Lets the model take a batch's features for what its frozen layers compute.

        Args:
            batch (dict): As the data loader gives it.
        """
        if self._stack.num_frozen > self._tried:
            self._follow(self._stack.num_frozen)
            self._tried = self._stack.num_frozen
        if self._chain and self._generation is None:  # resumed, or it had to go for a larger one
            self._move(self._chain)
        keys = self._features.keys(batch) if self._chain or 'inputs' not in batch else []
        features = self._stored(keys) if self._generation else None
        if features is None:
            if 'inputs' not in batch:  # it was loaded when its features were still to be had
                batch.update(self._features.load(keys))
            return
        if self._skips_images:
            batch['inputs'] = self._features.no_images(keys)
        self._replay.enter_context(self._generation.cut.replay(
            self._generation.as_computed(features, self._features.device)))

    def after_iter(self) -> None:
        """Makes the model whole again."""
        self._replay.close()

    def close(self) -> None:
        """Ends training: gives memory back, and files unless they are to be kept."""
        self._ahead.drop()
        if self.where == 'file' and not self.keep:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._generation = None

    def state_dict(self) -> Dict[str, Any]:
        """Where features were stored, in plain types; the features are no part of it."""
        return dict(chain=list(self._chain), tried=self._tried, dtype=self.dtype,
                    costs=self._costs and vars(self._costs))

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Takes up the state of :meth:`state_dict`."""
        self._chain, self._tried = list(state['chain']), state['tried']
        # Of the same machine or not: with other figures it would decide otherwise than the run
        # that was interrupted.
        if self.when == 'auto' and state['costs'] is not None:
            self._costs = StoreCosts(**state['costs'])

    def _follow(self, num_frozen: int) -> None:
        """Stores behind the layers that are frozen now, if that is wanted."""
        if self._costs is not None:
            stored = self._chain[-1] if self._chain else 0
            passes = self._features.passes_left(self._runner.iter)
            plain, anew = self._costs.seconds(num_frozen, passes, stored)
            pays = anew < plain
            self._runner.logger.info(
                f'store: behind {num_frozen} layers it would {"pay" if pays else "not pay"}: '
                f'{anew * 1e3:.3g} ms an image for the {passes} passes left, against '
                f'{plain * 1e3:.3g} ms ' + (f'from layer {stored} on' if stored else 'without'))
            if not pays:
                return
        self._move(self._chain + [num_frozen])

    def _stored(self, keys: List[Key]) -> Optional[List[torch.Tensor]]:
        """Features of a batch, after whatever it takes; None if they cannot be had."""
        store = self._generation.store
        features = self._ahead.take(store, keys)
        if features is None:
            self._complete()
            self._tell_damage(store)
            if self._generation is None:
                return None
            features = store.get(keys)
        following = self._runner.train_loop.next_batch
        if following is not None:
            self._ahead.begin(store, self._features.keys(following))
        return features

    def _complete(self) -> None:
        """Computes what the running pass is going to show and the store lacks."""
        generation, chain = self._generation, self._chain
        lacking = generation.store.lacking(self._features.keys_of_pass(self._runner.iter))
        try:
            self._fill(generation, self._features.from_images(lacking, chain), len(lacking))
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _tell_damage(self, store: FeatureStore) -> None:
        if store.damaged > self._damage_told:
            self._runner.logger.warning('store: features were damaged on the disk; they are '
                                        'computed anew')
        self._damage_told = store.damaged

    def _move(self, chain: List[int]) -> None:
        """Begins a generation behind the last number of the chain, if that is possible.

        What the generation before it holds, and what is going to be shown again, moves on.
        """
        self._ahead.drop()
        source, store, failure = self._generation, None, None
        try:
            features, self._batch_seconds = self._features.try_out(chain)
            store = self._room.open(
                self._features.samples, self._features.views,
                [level.shape[1:] for level in features], chain[-1],
                self._features.fingerprint(chain) if self.where == 'file' else '',
                source and source.store)
        except (OSError, ValueError) as error:
            failure = error
        if source is not None and source.store.removed:
            source = self._generation = None
        # Whether there is a store is the same in all processes, for they have to meet here.
        agreed = torch.tensor([float(failure is None), float(source is not None)])
        dist.all_reduce(agreed, 'min')
        all_well, all_kept = agreed.tolist()
        if not all_well:
            if store is not None:
                store.remove()
            if not all_kept and source is not None:
                source.store.remove()
                self._generation = None
            if chain == self._chain:  # nothing to go on from
                self._end()
            self._refuse(failure or OSError('store: another process has no room'))
            return
        generation = Generation(self._features.cut(chain[-1]), store,
                                [level.dtype for level in features])
        if source is not None:
            to_come = self._features.keys_to_come(self._runner.iter)
            lacking = set(source.store.lacking())
            self._tell_damage(source.store)
            wanted = [key for key in store.lacking() if key in to_come and key not in lacking]
            self._fill(generation, self._features.from_generation(wanted, source, chain[-1]),
                       len(wanted), source)
            source.store.remove()
        self._damage_told = 0
        self._generation, self._chain = generation, chain
        self._runner.train_loop.dataloader.batch_sampler.with_images = not self._skips_images

    def _give_up(self, error: Exception) -> None:
        """Goes on in plain freezing, until the next freeze.

        Of several processes one cannot do so alone, and what fails here (an image that cannot be
        read or is of another size) is no matter of room.
        """
        if not self._alone:
            raise error
        self._generation.store.remove()
        self._end()
        self._refuse(error)

    def _end(self) -> None:
        self._generation, self._chain = None, []
        if self._timeline.fills:
            self._timeline.add_fill(iteration=self._runner.iter, from_layer=0, to_layer=0,
                                    samples=0, bytes=0, seconds=0.)

    def _refuse(self, error: Exception) -> None:
        if self._generation is None:
            self._runner.train_loop.dataloader.batch_sampler.with_images = True
        if self.no_room == 'error':
            raise error
        self._runner.logger.warning(f'{error}: the layers run forward')

    def _fill(self, generation: Generation, computed: Any, samples: int,
              source: Optional[Generation] = None) -> None:
        """Writes what is computed, batch by batch."""
        if not samples:
            return
        store = generation.store
        estimate = self._batch_seconds * -(-samples // self._features.batch_size)
        self._runner.logger.info(
            f'store: {store.describe()} in {self.where}; filling {samples} from '
            + (f'the features before, in at most {estimate:.0f} s' if source else
               f'the images, in about {estimate:.0f} s'))
        began = now()
        for keys, features in computed:
            store.put(keys, features)
            if self._alone:  # others may have another number of batches to fill
                self._runner.train_loop.stop_if_asked()
        seconds = now() - began
        self._runner.logger.info(f'store: filled in {seconds:.1f} s')
        self._timeline.add_fill(
            iteration=self._runner.iter, from_layer=source.cut.num_layers if source else 0,
            to_layer=generation.cut.num_layers, samples=samples, bytes=store.nbytes,
            seconds=seconds)

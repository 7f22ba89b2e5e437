"""Train loops that go on exactly where they stopped."""
import copy
import signal
import sys
from contextlib import ExitStack
from typing import Any, Dict, Iterator, Optional, Sequence

import mmengine.dist as dist
import torch
from mmdet.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from ..pipelines import num_views
from .checkpoint_hook import CrashSafeCheckpointHook
from .seeding import seed_generators
from .workers import outlive_sigterm

OUTLIVES = dict(type=outlive_sigterm.__name__)


class ExactLoopMixin:
    """What the two loops share.

    - Each sample is augmented from the seed, the number of its batch and its index, and the
      generators are set from seed, rank and iteration before each iteration. So nothing random
      depends on how often the run was interrupted, or on the number of workers.
    - Batches that were trained on are skipped without being loaded, also inside an epoch.
    - A validation that was due at the checkpoint, which MMEngine writes before it, is made up for.
    - SIGTERM ends training after the running iteration (or validation, or on several ranks
      accumulation window), with a checkpoint and exit status 143.

    On the CPU the resumed run ends with the same bits as an uninterrupted one, given the same
    number of threads. On CUDA RoIAlign's backward adds in changing order, so that two
    uninterrupted runs differ already.

    Args:
        runner (Runner): The runner.
        dataloader (dict): Config of the data loader.
        **kwargs: Those of MMEngine's loop.

    Attributes:
        dataset_cfg (dict): Config of the data set, without the wrapper that seeds its samples.
        at_exit (ExitStack): What is to be done when training ends, however it does.
        next_batch (Sequence[dict], optional): The batch behind the running one, if there is one.

    Raises:
        ValueError: The data loader is built already, or checkpoints are not written by
            ``CrashSafeCheckpointHook``.
    """

    endless = False

    def __init__(self, runner: Runner, dataloader: Dict[str, Any], **kwargs) -> None:
        if not isinstance(dataloader, dict):
            raise ValueError(f'{type(self).__name__} wraps the data set, so train_dataloader must '
                             f'be a config, but is a {type(dataloader).__name__}')
        found = [hook for hook in runner.hooks if isinstance(hook, CrashSafeCheckpointHook)]
        if len(found) != 1:
            raise ValueError(f"{type(self).__name__} needs default_hooks.checkpoint.type="
                             "'CrashSafeCheckpointHook'")
        self._checkpoints = found[0]
        self.dataset_cfg = dataloader['dataset']
        self.at_exit = ExitStack()
        self.next_batch: Optional[Sequence[dict]] = None
        super().__init__(runner, _seeded(dataloader, self.endless), **kwargs)
        if isinstance(runner._val_dataloader, dict):  # not built yet; there is no public way to it
            _set_worker_init(runner._val_dataloader)

    def run(self) -> torch.nn.Module:
        """Trains, from wherever the run stands."""
        self._sigterm = False
        before = signal.signal(signal.SIGTERM, self._note_sigterm)
        self.at_exit.callback(signal.signal, signal.SIGTERM, before)
        with self.at_exit:
            self.runner.call_hook('before_train')
            seed = [self.runner.seed]
            dist.broadcast_object_list(seed)  # that of a rank may differ (diff_rank_seed)
            self._seed, = seed
            self._find_place()
            last = self._iter + self._iterations_left()
            if last != self.runner.max_iters:
                # MMEngine scales the losses of the last accumulation window by where it ends.
                self.runner.optim_wrapper.initialize_count_status(self.runner.model, self._iter,
                                                                  last)
            # MMEngine writes checkpoints before the validation that is due with them.
            if self._iter and (self.endless or self._iter == self._began):
                self._validate_if_due()
            self._train()
            self.runner.call_hook('after_train')
        return self.runner.model

    def _find_place(self) -> None:
        """Finds the iteration at which the running epoch began; an iteration loop has but one.

        Not by counting back: earlier epochs may have been of another length. Within an epoch whose
        length has changed there is no place to go on from; it begins anew.
        """
        note = self.runner.message_hub.runtime_info.get('running_epoch')
        batches = len(self.dataloader)
        known = note is not None and (note['epoch'], note['batches']) == (self._epoch, batches)
        self._began = note['began'] if known else self._iter

    def _load(self, done: int) -> Iterator[Sequence[dict]]:
        """Begins to load batches, behind the first ``done`` ones of this pass."""
        self.dataloader.batch_sampler.begin(self._seed, self._iter, skip=done)
        batches = iter(self.dataloader)
        self.next_batch = next(batches, None)
        while (batch := self.next_batch) is not None:
            self.next_batch = next(batches, None)
            yield batch

    def _iterate(self, batch_idx: int, data_batch: Sequence[dict]) -> None:
        seed_generators(self._seed, dist.get_rank(), self._iter)
        EpochBasedTrainLoop.run_iter(self, batch_idx, data_batch)
        # Of several ranks each has its own share of an open accumulation window.
        if dist.get_world_size() == 1 or self.runner.optim_wrapper.should_update():
            self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Ends the process with a checkpoint, if SIGTERM has come; all ranks must ask together."""
        # Ranks get the signal at different moments, and must stop after the same iteration.
        flag = torch.tensor(float(self._sigterm))
        dist.all_reduce(flag, 'max')
        if not flag.item():
            return
        path = self._checkpoints.save_between(self.runner)
        dist.barrier()  # launchers kill the others soon after the first rank has left
        self.runner.logger.warning(f'SIGTERM: stopped after iteration {self._iter}; --resume goes '
                                   f'on from {path}')
        sys.exit(128 + signal.SIGTERM)

    def _note_sigterm(self, *_: Any) -> None:
        self._sigterm = True

    def _validate_if_due(self) -> None:
        """Validates, unless the checkpoint was written again after this very validation."""
        self._decide_current_val_interval()
        done = self._iter if self.endless else self._epoch
        last = self._max_iters if self.endless else self._max_epochs
        hub = self.runner.message_hub
        if (self.runner.val_loop is None or done < self.val_begin
                or done % self.val_interval and done != last
                or hub.runtime_info.get('iter_of_validation') == self._iter):
            return
        # Before it, so that a checkpoint of the best result, written in it, holds the note.
        hub.update_info('iter_of_validation', self._iter)
        seed_generators(self._seed, dist.get_rank(), self._iter)
        self.runner.val_loop.run()
        self.stop_if_asked()


@LOOPS.register_module()
class ExactEpochBasedTrainLoop(ExactLoopMixin, EpochBasedTrainLoop):
    """MMEngine's ``EpochBasedTrainLoop`` that resumes exactly, also inside an epoch."""

    def _iterations_left(self) -> int:
        epochs = self._max_epochs - self._epoch
        return epochs * len(self.dataloader) - (self._iter - self._began)

    def _train(self) -> None:
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()

    def run_epoch(self) -> None:
        """Trains for an epoch, or for what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.runner.message_hub.update_info('running_epoch', dict(
            epoch=self._epoch, began=self._began, batches=len(self.dataloader)))
        done = self._iter - self._began
        for batch_idx, data_batch in enumerate(self._load(done), done):
            self._iterate(batch_idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self._began = self._iter


@LOOPS.register_module()
class ExactIterBasedTrainLoop(ExactLoopMixin, IterBasedTrainLoop):
    """MMEngine's ``IterBasedTrainLoop`` that resumes exactly."""

    endless = True

    def _iterations_left(self) -> int:
        return self._max_iters - self._iter

    def _train(self) -> None:
        self.runner.call_hook('before_train_epoch')
        batches = self._load(self._iter)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            # MMEngine's iteration loop counts its batches through, too.
            self._iterate(self._iter, next(batches))
            self._validate_if_due()
        self.runner.call_hook('after_train_epoch')


def _seeded(dataloader: Dict[str, Any], endless: bool) -> Dict[str, Any]:
    """The config of the same loader with seeded samples in numbered batches."""
    cfg = copy.deepcopy(dataloader)
    # By their scope, for the config may be of another.
    cfg['dataset'] = dict(type='mmdet.SeededDataset', dataset=cfg['dataset'])
    batches = dict(type='mmdet.SeededBatchSampler', batch_sampler=cfg.get('batch_sampler'),
                   endless=endless, views=num_views(dataloader['dataset']))
    if 'drop_last' in cfg:
        batches['drop_last'] = cfg.pop('drop_last')
    cfg['batch_sampler'] = batches
    _set_worker_init(cfg)
    return cfg


def _set_worker_init(loader: Dict[str, Any]) -> None:
    """Gives a loader's config the function that its workers begin with."""
    loader.setdefault('worker_init_fn', OUTLIVES)
    # MMEngine takes this setting of its own out only where it chooses that function itself.
    loader.pop('disable_subprocess_warning', None)

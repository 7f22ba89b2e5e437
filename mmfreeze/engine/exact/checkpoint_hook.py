"""Checkpoints that a crash cannot spoil, and that hold what MMEngine's lack."""
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import mmengine.dist as dist
import torch
from mmdet.registry import HOOKS
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmfreeze.utils.files import write_text_atomic


@HOOKS.register_module()
class CrashSafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` for runs that may be killed at any moment. Same arguments.

    A checkpoint is written beside its place, flushed and renamed, and an older one is removed only
    then. Gradients of an accumulation window that is open when a checkpoint is due go into it. A
    checkpoint also knows the number of ranks, images, batches in an epoch, iterations in all and
    threads; a resumed run that has others is warned, for it cannot be the same any more.

    Raises:
        ValueError: ``backend_args`` or ``file_client_args`` are given, for only local files are
            written; or the checkpoint to resume from has no optimizer state.
        RuntimeError: The ranks would resume from different checkpoints.
    """

    def __init__(self, *args, **kwargs) -> None:
        for name in ('backend_args', 'file_client_args'):
            if kwargs.pop(name, None) is not None:
                raise ValueError(f'CrashSafeCheckpointHook writes local files: remove {name} from '
                                 'default_hooks.checkpoint')
        super().__init__(*args, backend_args=dict(backend='crash_safe'), **kwargs)
        self._resumed: Optional[Dict[str, Any]] = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: Dict[str, Any]) -> None:
        checkpoint['exact'] = dict(
            circumstances=_circumstances(runner),
            grads={} if runner.optim_wrapper.should_update() else {
                name: param.grad.cpu() for name, param in _inner(runner).named_parameters()
                if param.grad is not None})

    def after_load_checkpoint(self, runner: Runner, checkpoint: Dict[str, Any]) -> None:
        if runner._resume:
            if 'optimizer' not in checkpoint:
                raise ValueError('the checkpoint to resume from has no optimizer state (as the '
                                 'best_*.pth): resume from another, or use load_from')
            self._resumed = checkpoint.get('exact')

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if dist.is_main_process():  # what a killed process left half written
            for path in Path(self.out_dir).glob('.*.pth.*.tmp'):
                path.unlink(missing_ok=True)
        _require_same_place(runner)
        if self._resumed is None:
            return
        self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
        for name, now in _circumstances(runner).items():
            then = self._resumed['circumstances'].get(name, now)
            if then != now:
                runner.logger.warning(
                    f'resumed with {name} {now} instead of {then}: training goes on, but not as '
                    'the uninterrupted run would have')
        params = dict(_inner(runner).named_parameters())
        for name, grad in self._resumed['grads'].items():
            params[name].grad = grad.to(params[name].device)
        self._resumed = None

    def save_between(self, runner: Runner) -> str:
        """Writes a checkpoint after any iteration, whatever the interval; on all ranks.

        Returns:
            str: Its path.
        """
        # One name for all such stops, however often a job is preempted.
        self._write(runner, 'stopped.pth', dict(epoch=runner.epoch, iter=runner.iter))
        return self.last_ckpt

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: Dict[str, Any]) -> None:
        outdated = []
        # After a validation, the same step may be written a second time.
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated.append(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self._write(runner, self.filename_tmpl.format(step), meta)
        if dist.is_main_process():
            for step in outdated:
                Path(self.out_dir, self.filename_tmpl.format(step)).unlink(missing_ok=True)

    def _save_best_checkpoint(self, runner: Runner, metrics: Dict[str, float]) -> None:
        with self._removing_at_the_end():
            super()._save_best_checkpoint(runner, metrics)

    def _write(self, runner: Runner, name: str, meta: Dict[str, Any]) -> None:
        self.last_ckpt = str(Path(self.out_dir, name))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        _average_open_window(runner)
        runner.save_checkpoint(
            self.out_dir, name, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if dist.is_main_process():
            write_text_atomic(Path(runner.work_dir, 'last_checkpoint'), self.last_ckpt)

    @contextmanager
    def _removing_at_the_end(self) -> Iterator[None]:
        """MMEngine removes the previous best checkpoint before it writes the new one."""
        backend, self.file_backend = self.file_backend, _LateRemovals()
        try:
            yield
            best = {getattr(self, 'best_ckpt_path', None),
                    *getattr(self, 'best_ckpt_path_dict', {}).values()}
            for path in set(self.file_backend.paths) - best:
                backend.remove(path)
        finally:
            self.file_backend = backend


class _LateRemovals(LocalBackend):
    """Takes note of what is to be removed."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: List[str] = []

    def remove(self, filepath: str) -> None:
        self.paths.append(filepath)


def _inner(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _circumstances(runner: Runner) -> Dict[str, int]:
    loader = runner.train_dataloader
    return dict(ranks=dist.get_world_size(), batches=len(loader), images=len(loader.dataset),
                iterations=runner.max_iters, threads=torch.get_num_threads())


def _require_same_place(runner: Runner) -> None:
    """Refuses ranks that go on from different checkpoints, as machines without a shared disk do."""
    places = dist.all_gather_object((runner.epoch, runner.iter))
    if len(set(places)) > 1:
        raise RuntimeError(f'the ranks would go on from different (epoch, iteration): {places}; '
                           'let all machines see the same work_dir')


def _average_open_window(runner: Runner) -> None:
    """Makes the accumulated gradients the same on all ranks, since rank 0 alone saves its own.

    Under ``no_sync`` each rank has its own share until the window closes; the mean of the shares
    is the same to the optimizer then.
    """
    if dist.get_world_size() == 1 or runner.optim_wrapper.should_update():
        return
    params = [param for param in _inner(runner).parameters() if param.requires_grad]
    # A rank need not have used all that others used.
    used = torch.tensor([float(param.grad is not None) for param in params])
    dist.all_reduce(used, 'max')
    for param, somewhere in zip(params, used.tolist()):
        if somewhere:
            if param.grad is None:
                param.grad = torch.zeros_like(param)
            dist.all_reduce(param.grad, 'mean')

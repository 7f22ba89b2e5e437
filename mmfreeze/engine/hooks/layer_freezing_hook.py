"""The hook that freezes layers: when to ask the policy, and what follows from its answer."""
import time
from logging import Logger
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Union

import mmengine.dist as dist
import numpy as np
import torch
from mmdet.registry import HOOKS, TASK_UTILS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop, Runner

from mmfreeze.freezing import Clock, FreezePolicy, GradNorm, NoFreezing, WeightChange

from ..distributed import require_freezable, rewrap
from ..layer_orders import build_stack
from ..optimizers import GradSignalMixin, prepare_layer_rates
from ..stored_prefix import StoredPrefix
from ..timeline import Timeline


@HOOKS.register_module()
class LayerFreezingHook(Hook):
    """Freezes the leading layers of a detector's backbone while it trains.

    A decision falls before the first iteration after a decision point (the end of an epoch in an
    epoch loop, every iteration in an iteration loop or where the policy wants it) at which no
    gradients are being accumulated.

    Args:
        policy (dict): Config of a policy: ``LinearFreezing`` (LFA), ``AdaptiveFreezing`` (AFA),
            ``FreezeOut``, ``LearnAndDrop``, ``GeometricFreezing``, ``StaticFreezing`` or
            ``NoFreezing``.
        layers (Sequence[str], optional): Name patterns of the layers, input first, see
            :meth:`mmfreeze.freezing.LayerStack.build`. Defaults to None: the order that the
            backbone declares, or the known one of a backbone of MMDetection, see
            :func:`mmfreeze.engine.layer_orders.build_stack`.
        store (dict | str, optional): Arguments of
            :class:`~mmfreeze.engine.stored_prefix.StoredPrefix`: frozen layers are not even run
            forward, but their output is stored; ``'auto'`` stands for ``dict(when='auto')``: where
            that pays. Defaults to None: they run forward.

    Raises:
        ValueError: A setting of the policy is wrong; or, before training starts, the layers' order
            is not known, the policy needs an optimizer wrapper that the config does not name,
            there are several optimizers, MMEngine checkpoints activations or compiles the model,
            features cannot be stored, or the checkpoint to resume from has no policy, another one,
            or other layers.
        NotImplementedError: Before training starts: the model's wrapper is FSDP or another one
            that layers cannot be frozen under, or DistributedDataParallel with a static graph.
    """

    # Before the other hooks of an iteration, so that they see what is frozen in it.
    priority = 'HIGH'

    def __init__(self, policy: Dict[str, Any], layers: Optional[Sequence[str]] = None,
                 store: Union[Dict[str, Any], str, None] = None) -> None:
        if isinstance(store, str):
            store = dict(when=store)
        try:
            # Policies are in mmdet's registry, whichever scope the config is of.
            self.policy: FreezePolicy = TASK_UTILS.build(dict(policy, _scope_='mmdet'))
            self.store = None if store is None else StoredPrefix(**store)
        except TypeError as error:  # a setting that there is not
            raise ValueError(f'LayerFreezingHook: {error}') from error
        # The type by name, also where a config gives the class: it goes into json and checkpoints.
        self.policy_cfg = dict(policy, type=type(self.policy).__name__)
        self.layers = layers
        self.timeline: Optional[Timeline] = None
        self._signals: Dict[str, Union[GradNorm, WeightChange]] = {}
        self._resumed: Optional[Dict[str, Any]] = None
        # When the running epoch began, and how long it had taken at the checkpoint resumed from.
        self._epoch_began: Optional[float] = None
        self._epoch_seconds = 0.

    def after_load_checkpoint(self, runner: Runner, checkpoint: Dict[str, Any]) -> None:
        # Also called for ``load_from`` and when testing, where nothing is to be taken up.
        if runner._resume:
            if 'mmfreeze' not in checkpoint:
                raise ValueError(
                    'the checkpoint to resume from was written without LayerFreezingHook; to '
                    'train on from its weights use load_from, without resume')
            self._resumed = checkpoint['mmfreeze']

    def before_train(self, runner: Runner) -> None:
        self._refuse_what_cannot_freeze(runner)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.stack = build_stack(model, self.layers)
        self.policy.setup(len(self.stack))
        self._collect_signals(runner)
        if self.policy.sets_lr:
            prepare_layer_rates(runner, self.stack, type(self.policy).__name__)
        self.timeline = Timeline(Path(runner.work_dir) / 'freezing_timeline.json',
                                 policy=self.policy_cfg, layers=self.stack.names)
        if self._resumed is not None:
            self._take_up(self._resumed, runner.iter, runner.logger)
        if self.store is not None:
            began = time.perf_counter()
            self.store.setup(runner, self.stack, self.timeline)
            if self._resumed is None:  # trying out and measuring belong to the first epoch
                self._epoch_seconds = time.perf_counter() - began
        runner.logger.info(f'{len(self.stack)} freezable layers, '
                           f'{type(self.policy).__name__}\n{self.stack.describe()}')
        self._resumed = None  # it may hold a copy of the backbone
        self._apply(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        self._epoch_began = time.perf_counter() - self._epoch_seconds

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        clock = self._clock(runner)
        # Between two accumulation windows ``should_update`` still answers for the last one.
        if self.policy.due(clock) and runner.optim_wrapper.should_update():
            self._decide(runner, clock)
        self.stack.freeze(self.policy.num_frozen)
        if self.policy.sets_lr:
            runner.optim_wrapper.lr_factors = self.policy.lr_factors(clock)
        if self.store is not None:
            self.store.before_iter(data_batch)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None,
                         outputs: Optional[Dict[str, Any]] = None) -> None:
        if self.store is not None:
            self.store.after_iter()

    def after_train(self, runner: Runner) -> None:
        if self.store is not None:
            self.store.close()

    def after_train_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.timeline.add_epoch(epoch=runner.epoch + 1, num_frozen=self.policy.num_frozen,
                                train_seconds=time.perf_counter() - self._epoch_began)
        self._epoch_began, self._epoch_seconds = None, 0.
        self._log_scalars(runner)

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        if self.timeline is not None:
            numbers = {key: float(value) for key, value in (metrics or {}).items()
                       if isinstance(value, (int, float, np.number))}
            self.timeline.add_validation(iteration=runner.iter, epoch=runner.epoch,
                                         metrics=numbers)

    def before_save_checkpoint(self, runner: Runner, checkpoint: Dict[str, Any]) -> None:
        checkpoint['mmfreeze'] = dict(
            policy=self.policy_cfg,
            layers=[list(names) for names in self.stack.names],
            policy_state=self.policy.state_dict(),
            signals={name: signal.state_dict() for name, signal in self._signals.items()},
            store=None if self.store is None else self.store.state_dict(),
            timeline=self.timeline.state_dict(),
            epoch_seconds=0. if self._epoch_began is None
            else time.perf_counter() - self._epoch_began)

    def _clock(self, runner: Runner) -> Clock:
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            return Clock(loop.iter, loop.max_iters)
        unit = len(loop.dataloader)
        done = loop.iter if self.policy.every_iteration else loop.epoch * unit
        return Clock(done, loop.max_iters, unit)

    def _decide(self, runner: Runner, clock: Clock) -> None:
        values = {name: signal.read(lambda stats: dist.all_reduce(stats, 'mean'))
                  for name, signal in self._signals.items()}
        before = self.policy.num_frozen
        decision = self.policy.decide(clock, values)
        for signal in self._signals.values():
            signal.reset()
        self.timeline.add_decision(iteration=runner.iter, epoch=runner.epoch,
                                   num_frozen=decision.num_frozen, **decision.details)
        if 'warning' in decision.details:
            runner.logger.warning(f'freezing: {decision.details["warning"]}')
        why = ''.join(f', {key} {_short(value)}' for key, value in decision.details.items()
                      if key not in ('warning', 'intervals'))
        runner.logger.info(f'freezing: {decision.num_frozen} of {len(self.stack)} layers from '
                           f'iteration {runner.iter + 1} on ({before} before){why}')
        for name, value in values.items():
            if value is not None:
                runner.visualizer.add_scalars(
                    {f'freeze/{name}/layer_{i:02d}': v for i, v in enumerate(value)
                     if v is not None}, step=runner.iter)
        self._apply(runner)

    def _apply(self, runner: Runner) -> None:
        if self.stack.freeze(self.policy.num_frozen, runner.optim_wrapper.optimizer):
            rewrap(runner)
        self._log_scalars(runner)

    def _log_scalars(self, runner: Runner) -> None:
        trainable = sum(p.numel() for p in runner.model.parameters() if p.requires_grad)
        scalars = {'freeze/num_frozen': self.policy.num_frozen,
                   'freeze/trainable_params': trainable}
        if self.policy.sets_lr:
            *layers, scalars['freeze/lr_factor/rest'] = self.policy.lr_factors(self._clock(runner))
            scalars.update(
                {f'freeze/lr_factor/layer_{i:02d}': factor for i, factor in enumerate(layers)})
        runner.visualizer.add_scalars(scalars, step=runner.iter)

    def _refuse_what_cannot_freeze(self, runner: Runner) -> None:
        if isinstance(self.policy, NoFreezing):
            return
        require_freezable(runner.model)
        if runner.cfg.get('activation_checkpointing'):
            raise ValueError(
                'activation_checkpointing of MMEngine is reentrant: behind a frozen layer it would '
                'stop the whole backbone from learning. Remove it from the config; ViTDetBackbone '
                'has with_cp=True')
        if runner.cfg.get('compile'):
            raise ValueError(
                'compile of MMEngine compiles the whole model, anew after each freeze, until torch '
                'gives up. Remove it from the config; ViTDetBackbone has compile_blocks=True')

    def _collect_signals(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, OptimWrapper):
            raise ValueError(f'LayerFreezingHook works with one optimizer, but optim_wrapper is '
                             f'{type(wrapper).__name__}')
        if 'weight_change' in self.policy.wants:
            self._signals['weight_change'] = WeightChange(self.stack)
        if 'grad_norm' not in self.policy.wants:
            return
        if not isinstance(wrapper, GradSignalMixin):
            raise ValueError(
                f'{type(self.policy).__name__} looks at gradients, which {type(wrapper).__name__} '
                "does not show: set optim_wrapper.type='FreezeOptimWrapper' (or, for mixed "
                "precision, 'AmpFreezeOptimWrapper'; mmdet's own --amp overwrites either, that of "
                'this project does not)')
        wrapper.grad_signal = GradNorm(self.stack, **self.policy.wants['grad_norm'])
        self._signals['grad_norm'] = wrapper.grad_signal

    def _take_up(self, state: Dict[str, Any], iteration: int, logger: Logger) -> None:
        for key, now in (('policy', self.policy_cfg),
                         ('layers', [list(names) for names in self.stack.names])):
            if state[key] != now:
                raise ValueError(
                    f'cannot resume: the checkpoint was trained with {key} {state[key]}, the '
                    f'config says {now}; restore the setting, or start a new run with load_from')
        self.policy.load_state_dict(state['policy_state'])
        for name, signal in self._signals.items():
            signal.load_state_dict(state['signals'][name])
        before, now = state['store'], self.store and self.store.state_dict()
        if (before and before['dtype']) != (now and now['dtype']):
            logger.warning('resumed with another store: the features that the run goes on from are '
                           'rounded in another way')
        if before and now:
            self.store.load_state_dict(before)
        self.timeline.load_state_dict(state['timeline'], iteration)
        self._epoch_seconds = state['epoch_seconds']


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.3g}'
    if isinstance(value, list):
        return '[' + ' '.join('-' if v is None else f'{v:.3g}' for v in value) + ']'
    return str(value)

"""Measures a training's iterations where it would begin: in its own runner, without training."""
import copy
import time
from dataclasses import dataclass
from statistics import mean, median
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmfreeze.analysis.benchmark.batch import made_up_batch
from mmfreeze.analysis.benchmark.measure import median_interval, peak_memory, turned
from mmfreeze.analysis.benchmark.subject import forget_pretrained, thaw
from mmfreeze.engine.exact.seeding import seed_generators
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.engine.prefix_features import now
from mmfreeze.engine.store_costs import measure_forward
from mmfreeze.freezing.cost import LayerCosts, layer_costs
from mmfreeze.utils.configs import HOOK, class_name, configured_layers

from .measured import Measured, MeasuredStore
from .storing import measure_store_of

# Iterations of a process that are slower than those behind them.
SLOW = 3
# Rounds through all numbers of frozen layers: at least and at most, and the seconds within which
# another one is begun.
ROUNDS, SECONDS = (4, 10), 40.
# Images on which FLOPs are counted: more than one, for the sake of batch norms.
COUNTED = 2


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found.

    Args:
        measured (Measured): The times.
        layers (list[str]): Names of each layer.
        samples (int, optional): Images of the training set; None if it is absent.
        iterations (int, optional): Of a pass through it; likewise.
        batch (str): What the batches were, in words.
        memory_of (str): What its memory is, in words.
        rounds (int): How often each number of frozen layers was measured.
        no_store (str, optional): Why nothing can be stored; None if it can.
    """
    measured: Measured
    layers: List[str]
    samples: Optional[int]
    iterations: Optional[int]
    batch: str
    memory_of: str
    rounds: int
    no_store: Optional[str]


def rehearse(cfg: Config, work_dir: str, store: Dict[str, Any],
             say: Callable[[str], None]) -> Rehearsal:
    """Measures.

    The learning rate is zero, weights are random. Each round takes another batch and visits every
    number of frozen layers with it, in turning order.

    Args:
        cfg (Config): The training; it stays as it is.
        work_dir (str): A folder for what MMEngine writes; nobody needs it afterwards.
        store (dict): Settings of the store, see ``StoredPrefix``.
        say (Callable): Takes a line that says what is going on.

    Returns:
        Rehearsal: What was found.

    Raises:
        ValueError: The layers' order is not known.
        FileNotFoundError: The data of a classifier is absent.
    """
    stage = _Stage(cfg, work_dir)
    say(f'{len(stage.stack)} layers; batches: {stage.batch}')
    quarters = sorted({len(stage.stack) * quarter // 4 for quarter in range(5)})
    images, layers = len(stage.first['inputs']), configured_layers(cfg)
    *slow, usual = [stage.iterate(0, stage.first) for _ in range(SLOW + 1)]
    say(f'iterations with {", ".join(map(str, quarters))} layers frozen, in turns ...')
    times: Dict[int, List[float]] = {n: [] for n in quarters}
    loads: List[float] = []
    began = time.perf_counter()
    while len(loads) < ROUNDS[0] or (len(loads) < ROUNDS[1]
                                     and time.perf_counter() - began < SECONDS):
        at = now()
        batch = next(stage.batches)
        loads.append(now() - at)
        # There and back, so that none always follows the same other one.
        for n in turned(quarters, len(loads))[::(-1) ** len(loads)]:
            times[n].append(stage.iterate(n, batch))
    say('memory, operations of each layer ...')
    memory = [stage.peak(n) for n in quarters]
    costs = stage.flops()
    forward = stage.forward()
    kept: Optional[MeasuredStore] = None
    no_store = 'the data is absent'
    if stage.loads:
        say('the frozen-feature store ...')
        kept, no_store = measure_store_of(stage.runner, stage.model, layers, store)
    middle, uncertainty = _typical([times[n] for n in quarters])
    loader = stage.runner.train_loop.dataloader
    measured = Measured(
        counts=quarters, seconds=middle, memory=memory, layers=costs, forward=forward,
        batch_size=images, load=median(loads) / images if stage.loads else 0.,
        workers=loader.num_workers, first=max(0., stage.window * (sum(slow) - SLOW * usual)),
        uncertainty=uncertainty, store=kept)
    known = (len(loader.dataset), len(loader)) if stage.loads else (None, None)
    return Rehearsal(measured, [', '.join(names) for names in stage.stack.names], *known,
                     stage.batch, stage.memory_of, len(loads), no_store)


class _Stage:
    """A runner that stands where training would begin, and batches to train on.

    Args:
        cfg (Config): The training.
        work_dir (str): Where MMEngine may write.
    """

    def __init__(self, cfg: Config, work_dir: str) -> None:
        self._layers = configured_layers(cfg)
        self.runner = Runner.from_cfg(_rehearsal_config(cfg, work_dir))
        try:
            loader = self.runner.train_loop.dataloader
            self.first = next(_batches(loader))
        except FileNotFoundError as error:  # annotations, or images
            made_up = made_up_batch(cfg, cfg.train_dataloader.batch_size, error)
            self.loads, self.batch, self.first = False, made_up.source, made_up.data
            self.runner._train_loop = EpochBasedTrainLoop(self.runner, DataLoader([0]), 1)
        else:
            self.loads, self.batch = True, 'those of the training set'
        self.batches = _batches(loader) if self.loads else _again(self.first)
        _begin(self.runner)
        self.model = self.runner.model
        self.stack = build_stack(self.model, self._layers)
        self._freezable = [p for params in self.stack.params for p in params]
        self._device = self._freezable[0].device
        self.memory_of = ('peak on the device' if self._device.type == 'cuda' else
                          'what is saved for the backward pass')
        # Iterations of a window, at whose end the optimizer steps.
        self.window = cfg.optim_wrapper.get('accumulative_counts', 1)
        self._done = 0

    def iterate(self, num_frozen: int, batch: Dict[str, Any],
                times: Optional[int] = None) -> float:
        """Goes through iterations with some layers frozen, with the same random numbers each time.

        Args:
            num_frozen (int): How many.
            batch (dict): As the data loader gives it.
            times (int, optional): Iterations. Defaults to None: a window of accumulation.

        Returns:
            float: Seconds of an iteration, on average.
        """
        times = times or self.window
        stack = thaw(self.model, self._freezable, self._layers)
        stack.freeze(num_frozen)
        seed_generators(0)
        began = now()
        for _ in range(times):
            stack.freeze(num_frozen)
            EpochBasedTrainLoop.run_iter(self.runner.train_loop, self._done, batch)
            self._done += 1
        return (now() - began) / times

    def peak(self, num_frozen: int) -> int:
        """Bytes of an iteration with some layers frozen, to be asked for by rising numbers.

        Their optimizer state is dropped for good, as a run drops it.
        """
        thaw(self.model, self._freezable, self._layers).freeze(
            num_frozen, self.runner.optim_wrapper.optimizer)
        # What a CPU's iterations save is added up; a device's peak may lie anywhere in a window.
        times = None if self._device.type == 'cuda' else 1
        return peak_memory(self._device, self.model,
                           lambda: self.iterate(num_frozen, self.first, times))

    def flops(self) -> LayerCosts:
        """FLOPs of the layers, for one image."""
        stack = thaw(self.model, self._freezable, self._layers)
        few = {key: value[:COUNTED] for key, value in self.first.items()}
        data = self.model.data_preprocessor(few, True)
        # Compiled kernels would hide from the counter.
        with torch.compiler.set_stance('force_eager'):
            costs = layer_costs(stack, self.model, lambda: self.model.parse_losses(
                self.model(**data, mode='loss'))[0])
        images = len(few['inputs'])
        return LayerCosts([n // images for n in costs.forward],
                          [n // images for n in costs.backward],
                          costs.rest_forward // images, costs.rest_backward // images)

    def forward(self) -> List[float]:
        """Seconds of each layer's forward pass, for one image."""
        stack = thaw(self.model, self._freezable, self._layers)
        images = self.model.data_preprocessor(self.first, True)['inputs']
        return measure_forward(stack, self.model, images,
                               lambda: self.runner.optim_wrapper.optim_context(self.model))


def _typical(times: List[List[float]]) -> Tuple[List[float], float]:
    """The typical time of each row, and how well it is known, as a share of it.

    Rows are compared within a round, for a machine that drifts slows whole rounds.
    """
    rounds = [mean(column) for column in zip(*times)]
    interval = median_interval(rounds)
    shares = [median(time / whole for time, whole in zip(row, rounds)) for row in times]
    return ([share * interval['median'] for share in shares],
            (interval['upper'] - interval['lower']) / 2 / interval['median'])


def _rehearsal_config(cfg: Config, work_dir: str) -> Config:
    """The training without what freezes, validates, loads weights, writes or reports."""
    cfg = copy.deepcopy(cfg)
    cfg.update(work_dir=work_dir, load_from=None, resume=False, log_level='ERROR',
               launcher='none', param_scheduler=None,
               custom_hooks=[hook for hook in cfg.get('custom_hooks') or []
                             if class_name(hook['type']) != HOOK])
    # MMEngine's logging begins the peak of a device's memory anew. The loop may require the other.
    hooks = cfg.get('default_hooks') or {}
    cfg.default_hooks = dict(hooks, logger=None, checkpoint=dict(
        hooks.get('checkpoint') or dict(type='CheckpointHook'), interval=-1, save_last=False,
        save_best=None, out_dir=None))
    for kind in ('val', 'test'):
        cfg.update({f'{kind}_{part}': None for part in ('dataloader', 'cfg', 'evaluator')})
    if cfg.get('visualizer'):
        cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    forget_pretrained(cfg.model)
    return cfg


def _begin(runner: Runner) -> None:
    """What ``Runner.train`` and its loop do before the first iteration; with no learning rate."""
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    for group in runner.optim_wrapper.optimizer.param_groups:
        group['lr'] = 0.
    runner.call_hook('before_run')
    runner._init_model_weights()
    # Without an end: more iterations may be gone through than the run has.
    runner.optim_wrapper.initialize_count_status(runner.model, 0, -1)
    runner.call_hook('before_train')
    runner.call_hook('before_train_epoch')


def _batches(loader: DataLoader) -> Iterator[Dict[str, Any]]:
    """Loads in this process, over and over; a batch that is partly filled only if it is alone."""
    alone = DataLoader(loader.dataset, batch_sampler=loader.batch_sampler,
                       collate_fn=loader.collate_fn)
    while True:
        full = 0
        for batch in alone:
            full = full or len(batch['inputs'])
            if len(batch['inputs']) == full:
                yield batch
        if not full:
            raise ValueError(f'train_dataloader gives no batch: drop_last leaves out its last one, '
                             f'and of {len(loader.dataset)} images there is no other')


def _again(batch: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    while True:
        yield batch

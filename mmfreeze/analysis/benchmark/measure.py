"""Measures iterations with layers frozen: time, memory, operations, bytes to reduce."""
import gc
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmfreeze.freezing.cost import count_flops

from .stopwatch import PHASES, Stopwatch
from .subject import Subject

Sample = Dict[str, float]

# Timed iterations in a row of the same kind, behind one that is not timed.
IN_A_ROW = 2
# The overhead is small, so it needs more pairs: this many in each repeat.
OVERHEAD_PAIRS = 8
NEVER = 10**9


def measure_freezing(subject: Subject, counts: Sequence[int], repeats: int) -> List[Dict[str, Any]]:
    """Measures what an iteration costs at several numbers of frozen layers.

    Each repeat visits every count, in turning order, and there the frozen detector and the ideal
    one, one right after the other; both draw the same random numbers.

    Args:
        subject (Subject): The detector.
        counts (Sequence[int]): Numbers of frozen layers.
        repeats (int): Number of repeats.

    Returns:
        list[dict]: For each count ``num_frozen``; ``iteration``, ``ideal`` (both in seconds) and
        ``efficiency`` (the ideal's time over that of the iteration beside it), each with median
        and quartiles; ``forward``, ``backward``, ``step`` (medians, in seconds); ``memory``
        and ``reduced`` (bytes); ``flops`` forward and backward.
    """
    fixed = {n: _fixed_costs(subject, n) for n in counts}
    samples: Dict[int, Dict[str, List[Sample]]] = {n: dict(frozen=[], ideal=[]) for n in counts}
    for repeat in range(repeats):
        for n in turned(counts, repeat):
            for kind in turned(('frozen', 'ideal'), repeat):
                samples[n][kind] += _visit(subject, kind, n, seed=repeat)
    return [dict(num_frozen=n, **_summary(**samples[n]), **fixed[n]) for n in counts]


def measure_overhead(subject: Subject, repeats: int) -> Dict[str, Dict[str, float]]:
    """Measures what hook, wrapper and signals cost while nothing is frozen.

    Three runs of MMEngine's runner take turns, iteration by iteration, on the same weights and
    optimizer: with MMEngine's own wrapper and no hook; with ``LayerFreezingHook``, its policy
    ``NoFreezing`` and the freezing wrapper; with the policy ``AdaptiveFreezing``, which collects
    gradient norms and never comes to a decision.

    Args:
        subject (Subject): The detector.
        repeats (int): Number of repeats, of eight iterations of each.

    Returns:
        dict: ``plain``: iteration time in seconds with median and quartiles; ``hook``: how much
        longer the second run takes than the first, ``signals``: the third than the second,
        in percent of the plain median, with the median over the differences of neighbours and
        the interval in which it lies with 95 % confidence.
    """
    subject.thawed()
    optimizer = subject.wrapper(freezing=False).optimizer
    seconds: Dict[str, List[float]] = dict(plain=[], hook=[], signals=[])
    with TemporaryDirectory() as work_dir:
        runs = {name: _run(subject, name, policy, optimizer, work_dir) for name, policy in (
            ('plain', None), ('hook', dict(type='NoFreezing')),
            ('signals', dict(type='AdaptiveFreezing', interval=NEVER)))}
        for turn in range(1 + repeats * OVERHEAD_PAIRS):
            for name in turned(list(runs), turn):
                sample = _timed(lambda: runs[name].train_loop.run_iter(subject.data),
                                Stopwatch(subject.device), seed=turn)
                if turn:  # the first one warms up
                    seconds[name].append(sample['iteration'])
    base = median(seconds['plain'])

    def percent(name: str, before: str) -> Dict[str, float]:
        return median_interval([100 * (a - b) / base
                                 for a, b in zip(seconds[name], seconds[before])])

    return dict(plain=spread(seconds['plain']), hook=percent('hook', 'plain'),
                signals=percent('signals', 'hook'))


def _run(subject: Subject, name: str, policy, optimizer: torch.optim.Optimizer,
         work_dir: str) -> Runner:
    """A run of which single iterations can be had, with no other hooks."""
    wrapper = subject.wrapper(freezing=policy is not None)
    wrapper.optimizer = optimizer
    runner = Runner(
        model=subject.model, work_dir=work_dir, experiment_name=f'benchmark_{name}',
        train_dataloader=DataLoader([0]), train_cfg=dict(by_epoch=False, max_iters=NEVER),
        optim_wrapper=wrapper, default_scope='mmdet', log_level='ERROR',
        default_hooks=dict.fromkeys(('runtime_info', 'timer', 'sampler_seed', 'logger',
                                     'param_scheduler', 'checkpoint')),
        custom_hooks=[] if policy is None else [
            dict(type='LayerFreezingHook', policy=policy, layers=subject.layers)])
    runner.call_hook('before_train')
    return runner


def _visit(subject: Subject, kind: str, num_frozen: int, seed: int) -> List[Sample]:
    watch = Stopwatch(subject.device)
    with getattr(subject, kind)(num_frozen, watch.watch) as iterate:
        iterate()
        return [_timed(iterate, watch, seed) for _ in range(IN_A_ROW)]


def _timed(iterate: Callable[[], Any], watch: Stopwatch, seed: int) -> Sample:
    """Times an iteration, with the same random numbers for the same seed.

    Garbage is collected between iterations, not in one of them.
    """
    set_random_seed(seed)
    gc.disable()
    try:
        watch.start()
        iterate()
        return watch.stop()
    finally:
        gc.enable()


def _fixed_costs(subject: Subject, num_frozen: int) -> Dict[str, Any]:
    """What does not vary from one iteration to the next."""
    before_backward: List[Callable[[], Any]] = []

    def watch(wrapper: OptimWrapper) -> None:
        backward = wrapper.backward
        wrapper.backward = lambda loss: ([call() for call in before_backward], backward(loss))

    with subject.frozen(num_frozen, watch) as iterate:
        iterate()  # the optimizer's state is there from the first step on
        memory = peak_memory(subject.device, subject.model, iterate)
        forward: List[int] = []
        # Compiled kernels would hide from the counter.
        with torch.compiler.set_stance('force_eager'), count_flops() as counter:
            before_backward.append(lambda: forward.append(counter.get_total_flops()))
            iterate()
        reduced = sum(p.numel() * p.element_size() for p in subject.model.parameters()
                      if p.requires_grad)
    flops = dict(forward=forward[0], backward=counter.get_total_flops() - forward[0])
    return dict(memory=memory, reduced=reduced, flops=flops)


def peak_memory(device: torch.device, model: nn.Module, iterate: Callable[[], Any]) -> int:
    """Peak of the device's memory in an iteration; on a CPU the bytes saved for its backward.

    Args:
        device (torch.device): Where the model is.
        model (nn.Module): What is trained.
        iterate (Callable): Trains an iteration, not the first one.

    Returns:
        int: Bytes.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        iterate()
        return torch.cuda.max_memory_allocated(device)
    saved = SavedBytes(model)
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        iterate()
    return saved.total


class SavedBytes:
    """Adds up what autograd keeps for the backward pass, parameters apart.

    A storage counts once, however many views of it are kept.

    Args:
        model (nn.Module): Whose parameters do not count: they are there anyway.
    """

    def __init__(self, model: nn.Module) -> None:
        self._own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._sizes: Dict[int, int] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        """Takes note of a tensor that is saved."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own:
            self._sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def total(self) -> int:
        """Bytes saved so far."""
        return sum(self._sizes.values())


def _summary(frozen: List[Sample], ideal: List[Sample]) -> Dict[str, Any]:
    return dict(
        iteration=spread([sample['iteration'] for sample in frozen]),
        **{phase: median(sample[phase] for sample in frozen) for phase in PHASES},
        ideal=spread([sample['iteration'] for sample in ideal]),
        efficiency=spread([a['iteration'] / b['iteration'] for a, b in zip(ideal, frozen)]))


def spread(values: Sequence[float]) -> Dict[str, float]:
    """The median of some values, and their quartiles as ``lower`` and ``upper``."""
    lower, middle, upper = np.percentile(values, (25, 50, 75)).tolist()
    return dict(median=middle, lower=lower, upper=upper)


def median_interval(values: Sequence[float]) -> Dict[str, float]:
    """The median and its 95 % interval, from ranks: how many values lie below it is binomial."""
    ordered, middle, reach = sorted(values), len(values) / 2, .98 * len(values) ** .5
    return dict(median=median(values), lower=ordered[max(0, int(middle - reach))],
                upper=ordered[min(len(values) - 1, int(middle + reach))])


def turned(items: Sequence, by: int) -> Tuple:
    """Some items in another order, with the one at ``by`` (counted round) as the first."""
    by %= len(items)
    return (*items[by:], *items[:by])

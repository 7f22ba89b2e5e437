"""What the frozen-feature store costs, saves and rounds, on this machine."""
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmfreeze.engine.exact.loops import ExactLoopMixin
from mmfreeze.engine.exact.seeded_batch_sampler import Draw
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.engine.pipelines import can_skip_images, require_replayable
from mmfreeze.engine.prefix_features import PrefixFeatures, now
from mmfreeze.engine.store_costs import StoreCosts, measure_forward, measure_store
from mmfreeze.freezing.store import DTYPES

REPEATS = 5


def measure_storing(runner: Runner, num_frozen: Optional[Sequence[int]], layers: Any = None
                    ) -> Dict[str, Any]:
    """Measures on the first batch of a training.

    Args:
        runner (Runner): With its weights in place; nothing is trained.
        num_frozen (Sequence[int], optional): Numbers of frozen layers to store behind; None: half
            of them, and all.
        layers (Sequence[str], optional): Name patterns of the layers, see the hook. Defaults to
            None.

    Returns:
        dict: In plain types: ``load`` and ``load_bare`` (ms an image with and without its pixels),
        ``views``, and for each number and dtype: megabytes of an image, ms an image to compute,
        write and read (in memory and in a file), the relative error of the features (root mean
        square) and of the loss, and the break-even.

    Raises:
        ValueError: The config's training cannot store features, or there are fewer layers.
    """
    loop = runner.train_loop
    if not isinstance(loop, ExactLoopMixin):
        raise ValueError("train_cfg.type must be 'ExactEpochBasedTrainLoop' or "
                         "'ExactIterBasedTrainLoop', as the store needs it")
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    require_replayable(runner, loop.dataset_cfg, model.data_preprocessor)
    stack = build_stack(model, layers)
    if num_frozen is None:
        num_frozen = sorted({-(-len(stack) // 2), len(stack)})
    for n in num_frozen:
        if not 1 <= n <= len(stack):
            raise ValueError(f'--frozen {n}: the backbone has {len(stack)} freezable layers, so '
                             f'the numbers are 1 to {len(stack)}')
    features = PrefixFeatures(runner, stack, 'float32')
    features.try_out(num_frozen)
    keys = [(row, 0) for row in range(min(features.batch_size, features.samples))]
    batch = features.load(keys)
    load, load_bare = measure_loading(loop.dataloader.dataset, len(keys))
    skips = can_skip_images(runner, loop.dataset_cfg, model.data_preprocessor)
    forward = measure_forward(stack, model, features.images(batch),
                              lambda: runner.optim_wrapper.optim_context(model))
    rows = [_stored(runner, features, model, batch, keys, n, dtype,
                    load - load_bare if skips else 0., forward)
            for n in num_frozen for dtype in DTYPES]
    return dict(load=load * 1e3, load_bare=load_bare * 1e3 if skips else None,
                views=features.views, layers=len(stack), rows=rows,
                epochs=features.passes_left(0))


def measure_loading(dataset: Any, count: int) -> Tuple[float, float]:
    """Times loading in this process, with and without pixels, one right after the other.

    Args:
        dataset (SeededDataset): The training set.
        count (int): How many of its first images to load each time.

    Returns:
        tuple[float, float]: Seconds an image, with its pixels and without.
    """
    seconds: Dict[bool, List[float]] = {True: [], False: []}
    for _ in range(REPEATS + 1):
        for with_image in seconds:
            began = now()
            for index in range(count):
                dataset[Draw(index, (0,), 0, with_image)]
            seconds[with_image].append((now() - began) / count)
    return median(seconds[True][1:]), median(seconds[False][1:])


def _stored(runner: Runner, features: PrefixFeatures, model: torch.nn.Module,
            batch: Dict[str, Any], keys: Sequence[Tuple[int, int]], num_frozen: int, dtype: str,
            load: float, forward: List[float]) -> Dict[str, Any]:
    computed = features.from_batch(batch, [num_frozen])
    rounded = [level.to(DTYPES[dtype]).to(level.dtype) for level in computed]
    write, read = measure_store(computed, dtype, None)
    file_write, file_read = measure_store(
        computed, dtype, Path(runner.work_dir) / 'store_benchmark')
    costs = StoreCosts(load, forward, write, read, features.views)
    numel = sum(level[0].numel() for level in computed)
    with runner.optim_wrapper.optim_context(model):
        exact, stored = (_loss(features, model, keys, num_frozen, levels)
                         for levels in (computed, rounded))
    return dict(
        num_frozen=num_frozen, dtype=dtype, megabytes=numel * DTYPES[dtype].itemsize / 1e6,
        forward=sum(forward[:num_frozen]) * 1e3, write=write * 1e3, read=read * 1e3,
        file_write=file_write * 1e3, file_read=file_read * 1e3,
        error=_error(computed, rounded), loss_error=abs(stored - exact) / exact,
        break_even=costs.break_even(features.passes_left(0)))


def _error(exact: Sequence[Tensor], rounded: Sequence[Tensor]) -> float:
    """Root mean square of the difference, relative to that of the features themselves."""
    off = sum((a.double() - b.double()).square().sum() for a, b in zip(exact, rounded))
    return (off / sum(a.double().square().sum() for a in exact)).sqrt().item()


@torch.no_grad()
def _loss(features: PrefixFeatures, model: torch.nn.Module, keys: Sequence[Tuple[int, int]],
          num_frozen: int, levels: Sequence[Tensor]) -> float:
    """The loss of a batch from given features; all that is drawn in it is drawn alike."""
    torch.manual_seed(0)
    batch = model.data_preprocessor(features.load(keys), training=True)
    with features.cut(num_frozen).replay(levels):
        return model.parse_losses(model(**batch, mode='loss'))[0].item()


def storing_table(result: Dict[str, Any]) -> str:
    """What :func:`measure_storing` found, as markdown."""
    loading = f'{result["load"]:.2f} ms an image' + (
        '' if result['load_bare'] is None else
        f', {result["load_bare"]:.2f} ms without its pixels')
    lines = [f'Loading: {loading}. {result["views"]} views, {result["epochs"]} epochs.', '',
             '| frozen | stored as | MB an image | forward (ms) | write / read, memory (ms) '
             '| write / read, file (ms) | error of features | error of the loss | pays from |',
             '|--:|---|--:|--:|--:|--:|--:|--:|--:|']
    for row in result['rows']:
        lines.append(
            f'| {row["num_frozen"]} | {row["dtype"]} | {row["megabytes"]:.3f} '
            f'| {row["forward"]:.2f} | {row["write"]:.2f} / {row["read"]:.2f} '
            f'| {row["file_write"]:.2f} / {row["file_read"]:.2f} | {row["error"]:.1e} '
            f'| {row["loss_error"]:.1e} | '
            + ('never' if row['break_even'] is None else f'{row["break_even"]} layers') + ' |')
    return '\n'.join(lines)

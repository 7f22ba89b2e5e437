"""Measures what the frozen-feature store would take in a training."""
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from mmengine.runner import Runner
from torch import nn

from mmfreeze.analysis.benchmark.store import measure_loading
from mmfreeze.engine.exact.loops import ExactLoopMixin
from mmfreeze.engine.free_memory import free_memory
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.engine.pipelines import can_skip_images, require_replayable
from mmfreeze.engine.prefix_features import PrefixFeatures, now
from mmfreeze.engine.store_costs import measure_costs
from mmfreeze.engine.stored_prefix import StoredPrefix
from mmfreeze.freezing.store import stored_bytes

from .measured import MeasuredStore


def measure_store_of(runner: Runner, model: nn.Module, layers: Optional[Sequence[str]],
                     settings: Dict[str, Any]) -> Tuple[Optional[MeasuredStore], Optional[str]]:
    """Measures as ``StoredPrefix`` does before training.

    Args:
        runner (Runner): The training, with its data.
        model (nn.Module): Its model, with nothing frozen.
        layers (Sequence[str], optional): Name patterns of the layers.
        settings (dict): Of the store, see ``StoredPrefix``.

    Returns:
        tuple[MeasuredStore | None, str | None]: What was found, or why nothing can be stored.
    """
    prefix, loop = StoredPrefix(**settings), runner.train_loop
    if not isinstance(loop, ExactLoopMixin):
        return None, 'train_cfg.type is no Exact...TrainLoop, which the store needs'
    stack = build_stack(model, layers)
    began = now()
    try:
        require_replayable(runner, loop.dataset_cfg, model.data_preprocessor)
        features = PrefixFeatures(runner, stack, prefix.dtype)
        computed, _ = features.try_out([max(1, len(stack) // 2)])
    except ValueError as error:
        return None, str(error)
    move = now() - began
    skips = can_skip_images(runner, loop.dataset_cfg, model.data_preprocessor)
    nbytes = stored_bytes(features.samples, [level.shape[1:] for level in computed], prefix.dtype,
                          features.views)
    on_disk = prefix.where == 'file'
    room = prefix.max_bytes if on_disk else min(prefix.max_bytes, free_memory())
    if nbytes > room:
        limit = (f'store.max_gb={prefix.max_bytes / 1e9:g}' if room == prefix.max_bytes else
                 f'the {room / 1e9:.3g} GB of memory that are free')
        return None, f'{nbytes / 1e9:.3g} GB of features are more than {limit}'
    costs = measure_costs(runner, stack, features, computed, prefix.dtype,
                          Path(runner.work_dir) if on_disk else None, skips)
    setup = now() - began
    bare = None
    if skips:
        _, bare = measure_loading(loop.dataloader.dataset,
                                  min(features.batch_size, features.samples))
    return MeasuredStore(costs, bare, setup, move, nbytes, room, on_disk,
                         beside=features.device.type != 'cpu'), None

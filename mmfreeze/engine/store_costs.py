"""What storing features costs on this machine, what it saves, and from where on it pays."""
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mmengine.dist as dist
import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmfreeze.freezing import FeatureStore, LayerStack, called_modules
from mmfreeze.freezing.cut import evaluating, stack_body

from .prefix_features import PrefixFeatures, now

REPEATS = 3


@dataclass(frozen=True)
class StoreCosts:
    """Seconds that a sample costs, and when storing its features is cheaper than computing them.

    Storing pays if what is left of the run costs less with it: each view of a sample is loaded,
    computed and written once, and read each time that it is shown; otherwise it is loaded and
    computed each time. Of K views, R passes show K (1 - (1 - 1/K)^R) different ones of a sample
    on average.

    Args:
        load (float): Loading the sample in the process that trains; 0 where workers do it
            meanwhile, or where a stored sample is loaded all the same.
        forward (list[float]): Forward pass of each freezable layer.
        write (float): Writing the features.
        read (float): Reading them.
        views (int): K.
    """
    load: float
    forward: List[float]
    write: float
    read: float
    views: int

    def seconds(self, num_layers: int, passes: int, stored: int = 0) -> Tuple[float, float]:
        """What a sample costs in what is left of a run, up to the end of the frozen layers.

        Args:
            num_layers (int): Number of frozen layers.
            passes (int): R, the passes through the data that are left.
            stored (int): Number of layers whose output is stored already. Defaults to 0: none.

        Returns:
            tuple[float, float]: If nothing is stored anew, and if the output of all frozen layers
            is.
        """
        different = self.views * (1 - (1 - 1 / self.views) ** passes)
        before = self.read if stored else self.load
        compute = before + sum(self.forward[stored:num_layers])
        return passes * compute, different * (compute + self.write) + passes * self.read

    def break_even(self, passes: int) -> Optional[int]:
        """The fewest frozen layers at which storing pays, if any number is enough."""
        for num_layers in range(1, len(self.forward) + 1):
            plain, stored = self.seconds(num_layers, passes)
            if stored < plain:
                return num_layers
        return None

    def describe(self, passes: int) -> str:
        """In words, with the break-even for so many passes."""
        fewest = self.break_even(passes)
        return (f'an image is loaded in {self.load * 1e3:.3g} ms, passes all {len(self.forward)} '
                f'layers in {sum(self.forward) * 1e3:.3g} ms, is written in '
                f'{self.write * 1e3:.3g} ms and read in {self.read * 1e3:.3g} ms; with '
                f'{self.views} views and {passes} passes left storing pays '
                + ('never' if fewest is None else f'from {fewest} frozen layers on'))


def measure_costs(runner: Runner, stack: LayerStack, features: PrefixFeatures,
                  computed: Sequence[Tensor], dtype: str, folder: Optional[Path],
                  counts_loading: bool) -> StoreCosts:
    """Measures on the first batch of a training; all processes get what the first one found.

    Args:
        runner (Runner): The training.
        stack (LayerStack): Its layers.
        features (PrefixFeatures): Which loads samples.
        computed (Sequence[Tensor]): Features of some images, of shapes (B, ...).
        dtype (str): How the store keeps numbers.
        folder (Path, optional): Where it lies; None: in memory.
        counts_loading (bool): Whether stored samples are not loaded.

    Returns:
        StoreCosts: The costs.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    keys = [(row, 0) for row in range(min(features.batch_size, features.samples))]
    began = now()
    batch = features.load(keys)
    load = (now() - began) / len(keys)
    if not counts_loading or runner.train_loop.dataloader.num_workers:
        load = 0.
    forward = measure_forward(stack, model, features.images(batch),
                              lambda: runner.optim_wrapper.optim_context(model))
    try:
        write, read = measure_store(computed, dtype, folder and folder / 'measured')
    except OSError:  # a full disk: it is told when the store is to be filled
        write, read = measure_store(computed, dtype, None)
    costs = [StoreCosts(load, forward, write, read, features.views)]
    dist.broadcast_object_list(costs)
    return costs[0]


def measure_forward(stack: LayerStack, model: nn.Module, images: Tensor, context: Any
                    ) -> List[float]:
    """Seconds of each layer's forward pass, per image.

    Args:
        stack (LayerStack): The layers.
        model (nn.Module): The model that the stack was made of.
        images (Tensor): A batch as the backbone gets it, of shape (B, C, H, W).
        context (Callable): Makes a context that the model runs in, such as autocast.

    Returns:
        list[float]: The medians of a few passes.
    """
    body = stack_body(model, stack)
    ends: Dict[int, float] = {}
    passes: List[List[float]] = []
    with evaluating(body), ExitStack() as hooks:
        for layer, names in enumerate(stack.names):
            for name in (called for name in names for called in called_modules(model, name)):
                hooks.callback(model.get_submodule(name).register_forward_hook(
                    lambda *_, layer=layer: ends.update({layer: now()})).remove)
        for _ in range(REPEATS + 1):
            began = now()
            with torch.no_grad(), context():
                body(images)
            times = [began]
            for layer in range(len(stack)):
                times.append(ends.get(layer, times[-1]))
            passes.append([(b - a) / len(images) for a, b in zip(times, times[1:])])
    return [median(column) for column in zip(*passes[1:])]


def measure_store(features: Sequence[Tensor], dtype: str, folder: Optional[Path]
                  ) -> Tuple[float, float]:
    """Seconds to write and to read what frozen layers hand on, per image.

    Args:
        features (Sequence[Tensor]): Of some images, of shapes (B, ...).
        dtype (str): How the store keeps numbers.
        folder (Path, optional): Where; None: in memory.

    Returns:
        tuple[float, float]: Medians of a few times.

    Raises:
        OSError: There is no room.
    """
    keys = [(row, 0) for row in range(len(features[0]))]
    store = FeatureStore(len(keys), [level.shape[1:] for level in features], dtype, folder=folder)
    times: List[Tuple[float, float]] = []
    try:
        for _ in range(REPEATS + 1):
            began = time.perf_counter()
            store.put(keys, features)
            written = time.perf_counter()
            store.lacking(keys)
            for level, computed in zip(store.get(keys), features):
                level.to(computed.device, computed.dtype)
            times.append((written - began, now() - written))
    finally:
        store.remove()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    write, read = (median(column) / len(keys) for column in zip(*times[1:]))
    return write, read

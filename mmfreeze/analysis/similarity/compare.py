"""Compares what the layers of a model make of images at several times of a training."""
from typing import Any, Callable, List, Sequence

import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmfreeze.freezing import LayerStack

from .checkpoints import RunCheckpoint
from .cka import FEWEST_IMAGES, MinibatchCKA
from .layers import LayerGrams


def minibatches(cfg: Config, images: int, size: int) -> DataLoader:
    """Draws images of a config's validation set, without replacement and always the same.

    They are drawn because neighbours in a data set are often alike, while the minibatches of the
    estimator have to be random ones.

    Args:
        cfg (Config): With ``val_dataloader``.
        images (int): How many at most.
        size (int): Of a minibatch, about: all are equally large, but for one image.

    Returns:
        DataLoader: Of minibatches as validation sees them.

    Raises:
        ValueError: The config has no such loader, or its data set has fewer than four images.
    """
    if not cfg.get('val_dataloader'):
        raise ValueError('the config has no val_dataloader, whose images are to be compared')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    if len(dataset) < FEWEST_IMAGES:
        raise ValueError(f'val_dataloader.dataset holds {len(dataset)} images, and CKA needs at '
                         f'least {FEWEST_IMAGES}')
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()
    drawn = order[:images]
    parts = min(-(-len(drawn) // size), len(drawn) // FEWEST_IMAGES)
    return DataLoader(
        dataset, batch_sampler=[drawn[part::parts] for part in range(parts)],
        num_workers=cfg.val_dataloader.get('num_workers', 0), collate_fn=pseudo_collate)


def compare_layers(model: nn.Module, stack: LayerStack, checkpoints: Sequence[RunCheckpoint],
                   loader: DataLoader, report: Callable[[str], Any]) -> Tensor:
    """Computes the CKA of each layer between each checkpoint and the last one.

    Args:
        model (nn.Module): The model; it ends with the weights of the last checkpoint but one.
        stack (LayerStack): Its layers.
        checkpoints (Sequence[RunCheckpoint]): Of that model.
        loader (DataLoader): See :func:`minibatches`.
        report (Callable): Called with a line for each checkpoint that is done.

    Returns:
        Tensor: Of shape (L, number of checkpoints), in float64; NaN where a layer gives the same
        for all images.

    Raises:
        ValueError: A layer is not called, or what it returns is not ordered by images, or not
            finite.
    """
    grams = LayerGrams(model, stack)

    def of(checkpoint: RunCheckpoint, number: int) -> List[Tensor]:
        model.load_state_dict(checkpoint.weights)
        found = [grams(model.data_preprocessor(batch, training=False)['inputs']).cpu()
                 for batch in loader]
        if not all(gram.isfinite().all() for gram in found):
            raise ValueError(f'{checkpoint.path}: layers give NaN or infinite values, so there is '
                             'nothing to compare')
        report(f'[{number}/{len(checkpoints)}] {checkpoint.path}')
        return found

    final = of(checkpoints[-1], 1)
    columns = [_cka(of(checkpoint, number), final)
               for number, checkpoint in enumerate(checkpoints[:-1], 2)]
    return torch.stack([*columns, _cka(final, final)], 1)


def _cka(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    cka = MinibatchCKA()
    for one, other in zip(first, second):
        cka.update(one, other)
    return cka.value()

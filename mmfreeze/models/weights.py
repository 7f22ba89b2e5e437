"""Start weights of the plain ViT backbone, from files with timm names."""
import math
import pickle
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .layers import resize_position_table, resize_relative_table


# In mmengine's own registry, because that is the one in which ``init_cfg`` is looked up.
@WEIGHT_INITIALIZERS.register_module()
class PretrainedViT:
    """Loads start weights into a plain ViT; made for ``init_cfg`` of :class:`ViTDetBackbone`.

    Reads the checkpoints of MAE, DeiT and timm, reports what was done with every tensor, and
    refuses a file that does not fit. mmengine initialises a model only when it trains, never when
    it tests; a training that resumes does so too, before it loads the checkpoint.

    Args:
        checkpoint (str): A .pth, .pt, .npz or .safetensors file.
        url (str, optional): Where the file can be had; named in the message when it is absent.
    """

    def __init__(self, checkpoint: str, url: Optional[str] = None) -> None:
        self.checkpoint = checkpoint
        self.url = url

    def __call__(self, module: nn.Module) -> None:
        """Loads the weights into the module.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file cannot be read, or does not fit the module.
        """
        path = Path(self.checkpoint).expanduser()
        if not path.is_file():
            source = f'download {self.url} to there' if self.url else 'put the file there'
            raise FileNotFoundError(
                f'start weights not found: {path} (model.backbone.init_cfg.checkpoint); {source}, '
                'or set model.backbone.init_cfg=None to start from random weights')
        try:
            report = load_vit_weights(module, read_weights(path))
        except ValueError as error:
            raise ValueError(
                f'start weights {path} (model.backbone.init_cfg.checkpoint): {error}') from error
        print_log(f'start weights {path}:\n{report}', logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'PretrainedViT: load from {path}')


@dataclass
class LoadReport:
    """What loading did, by names of tensors."""
    loaded: List[str]
    resized: List[str]
    missing: List[str]
    unexpected: List[str]

    def __str__(self) -> str:
        return '\n'.join([
            f'  loaded {len(self.loaded)} tensors',
            f'  resized: {", ".join(self.resized) or "none"}',
            f'  missing in the file: {_grouped(self.missing)}',
            f'  unexpected in the file, not used: {_grouped(self.unexpected)}'
        ])


def load_vit_weights(backbone: nn.Module, weights: Dict[str, Tensor]) -> LoadReport:
    """Copies weights into a plain ViT by name.

    Position tables of another size are interpolated: absolute ones by bicubic interpolation,
    after dropping the rows of class and distillation tokens; relative ones linearly.

    Args:
        backbone (nn.Module): A :class:`ViTDetBackbone`.
        weights (dict[str, Tensor]): Tensors under timm names.

    Returns:
        LoadReport: The names that were loaded, resized, missing and unexpected.

    Raises:
        ValueError: No name fits, or a tensor has a shape that cannot be brought to the backbone's.
    """
    own = backbone.state_dict()
    report = LoadReport(
        loaded=[name for name in weights if name in own],
        resized=[],
        missing=[name for name in own if name not in weights],
        unexpected=[name for name in weights if name not in own])
    if not report.loaded:
        raise ValueError(
            f'no tensor fits: the file has {_grouped(report.unexpected)}; the backbone expects '
            f'{_grouped(report.missing)}')
    fitting = {}
    for name in report.loaded:
        have, want = tuple(weights[name].shape), tuple(own[name].shape)
        fitting[name] = weights[name] if have == want else _resize(name, weights[name], want)
        if have != want:
            report.resized.append(f'{name} {have} -> {want}')
    backbone.load_state_dict(fitting, strict=False)
    return report


def read_weights(path: Path) -> Dict[str, Tensor]:
    """Reads the tensors of a file, without running any code that the file may hold.

    Args:
        path (Path): A .pth or .pt (its ``model`` entry, where it has one), .npz or .safetensors
            file.

    Returns:
        dict[str, Tensor]: Tensors by name.

    Raises:
        ValueError: The file is of another kind, damaged, or holds more than tensors.
    """
    readers = {'.pth': _read_torch, '.pt': _read_torch, '.npz': _read_npz,
               '.safetensors': load_file}
    if path.suffix not in readers:
        raise ValueError(f'expected a file that ends in {", ".join(readers)}')
    try:
        weights = readers[path.suffix](path)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, KeyError,
            ValueError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f'not readable as {path.suffix}: {reason}') from error
    if not isinstance(weights, dict) or not all(
            isinstance(value, Tensor) for value in weights.values()):
        raise ValueError('expected tensors by name, at the top or under the key "model"')
    return weights


def _read_torch(path: Path) -> Dict[str, Tensor]:
    content = torch.load(path, map_location='cpu', weights_only=True)
    return content['model'] if isinstance(content, dict) and 'model' in content else content


def _read_npz(path: Path) -> Dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _resize(name: str, tensor: Tensor, want: Tuple[int, ...]) -> Tensor:
    have = tuple(tensor.shape)
    if name == 'pos_embed' and have[-1] == want[-1]:
        grid = _position_grid(tensor)
        if grid is not None:
            return resize_position_table(grid.float(), want[1:3])
    if name.endswith(('rel_pos_h', 'rel_pos_w')) and have[1:] == want[1:]:
        return resize_relative_table(tensor.float(), want[0])
    raise ValueError(f'{name} has the shape {have} in the file and {want} in the backbone')


def _position_grid(table: Tensor) -> Optional[Tensor]:
    """Brings a table (1, tokens + N, C) to (1, side, side, C); None where N is no square number."""
    if table.ndim == 4:
        return table
    for num_tokens in range(3):  # none, class token, class and distillation token
        side = math.isqrt(table.shape[1] - num_tokens)
        if side * side == table.shape[1] - num_tokens:
            return table[:, num_tokens:].unflatten(1, (side, side))
    return None


def _grouped(names: Sequence[str]) -> str:
    """A line for many names: numbers become ``*``, equal results are counted."""
    counts = Counter(re.sub(r'\b\d+\b', '*', name) for name in names)
    return ', '.join(
        name if count == 1 else f'{name} ({count})' for name, count in counts.items()) or 'none'

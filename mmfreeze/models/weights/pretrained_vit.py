"""The initializer that loads start weights into a plain ViT."""
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from ..layers import resize_position_table, resize_relative_table
from .files import read_weights
from .names import grouped, to_own_names


# In mmengine's own registry, because that is the one in which ``init_cfg`` is looked up.
@WEIGHT_INITIALIZERS.register_module()
class PretrainedViT:
    """Loads start weights into a plain ViT; made for ``init_cfg`` of :class:`ViTDetBackbone`.

    Reads the checkpoints of the projects that :func:`to_own_names` knows (MAE, DeiT, timm,
    detectron2 and mmdetection ViTDet, segment-anything, mmpretrain), reports what was done with
    every tensor, and refuses a file that does not fit or could run code. mmengine initialises a
    model only when it trains, never when it tests; a training that resumes does so too, before it
    loads the checkpoint.

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
    naming: str
    loaded: List[str]
    resized: List[str]
    missing: List[str]
    unexpected: List[str]

    def __str__(self) -> str:
        return '\n'.join([
            f'  {self.naming}',
            f'  loaded {len(self.loaded)} tensors',
            f'  resized: {", ".join(self.resized) or "none"}',
            f'  missing in the file: {grouped(self.missing)}',
            f'  unexpected in the file, not used: {grouped(self.unexpected)}'
        ])


def load_vit_weights(backbone: nn.Module, weights: Dict[str, Tensor]) -> LoadReport:
    """Copies weights into a plain ViT, whatever project named them.

    Position tables of another size are interpolated: absolute ones by bicubic interpolation,
    after dropping the rows of class and distillation tokens; relative ones linearly.

    Args:
        backbone (nn.Module): A :class:`ViTDetBackbone`.
        weights (dict[str, Tensor]): Tensors under names that :func:`to_own_names` knows.

    Returns:
        LoadReport: The names that were loaded, resized, missing and unexpected.

    Raises:
        ValueError: The names are not those of a plain ViT, or a tensor has a shape that cannot be
            brought to the backbone's.
    """
    tensors, unused, naming = to_own_names(weights)
    own = backbone.state_dict()
    report = LoadReport(
        naming=naming,
        loaded=[name for name in tensors if name in own],
        resized=[],
        missing=[name for name in own if name not in tensors],
        unexpected=unused + [name for name in tensors if name not in own])
    fitting = {}
    for name in report.loaded:
        have, want = tuple(tensors[name].shape), tuple(own[name].shape)
        fitting[name] = tensors[name] if have == want else _resize(name, tensors[name], want)
        if have != want:
            report.resized.append(f'{name} {have} -> {want}')
    backbone.load_state_dict(fitting, strict=False)
    return report


def _resize(name: str, tensor: Tensor, want: Tuple[int, ...]) -> Tensor:
    have = tuple(tensor.shape)
    if name == 'pos_embed' and have[-1] == want[-1]:
        return resize_position_table(tensor.float(), want[1:3])
    if name.endswith(('rel_pos_h', 'rel_pos_w')) and have[1:] == want[1:]:
        return resize_relative_table(tensor.float(), want[0])
    raise ValueError(f'{name} has the shape {have} in the file and {want} in the backbone')

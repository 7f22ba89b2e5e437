"""Optimizer groups by layer, with layer-wise learning rate decay."""
from typing import Dict, List, Optional, Tuple

from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmfreeze.engine.layer_orders import known_layers
from mmfreeze.freezing import is_part_of


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerGroupsConstructor(DefaultOptimWrapperConstructor):
    """Makes one pair of parameter groups (with and without weight decay) for each layer.

    The layers are those that the model's backbone declares by ``ordered_layers()``, or that are
    known of it, the same that freezing reads. Of L layers, layer l learns with
    ``lr * layer_decay ** (L - l)``, so the last one with ``lr * layer_decay``; everything that is
    in no layer (neck, heads) with ``lr`` itself. That is detectron2's rule for ViTDet, but for the
    embeddings: they belong to layer 0 here and are one step below block 0 there.

    There is no weight decay on one-dimensional parameters (norms, biases) and on the absolute
    position table ``pos_embed``. Relative position tables decay. detectron2's ViTDet exempts norms
    and ``pos_embed``, not biases; mmdetection's ViTDet project exempts norms and biases and means
    to exempt ``pos_embed``; neither exempts relative tables.

    Each group carries ``name`` and ``layer`` (L for the rest). The groups of the rest come first,
    because mmengine logs the first group's learning rate as ``lr``; ``base_lr`` beside it is the
    configured one, which ``auto_scale_lr`` does not scale. Schedulers act on every group alike.
    Parameters that the model itself has frozen stay out, as with mmengine's own constructor.

    Args:
        optim_wrapper_cfg (dict): Config of the optimizer wrapper; its ``optimizer`` gives ``lr``.
        paramwise_cfg (dict, optional): ``layer_decay`` (float), in (0, 1]. Defaults to None, which
            means 1: groups by layer, equal rates. ``layers`` (list[str]): name patterns, as
            ``LayerFreezingHook`` takes them, for a backbone whose order is not known.

    Raises:
        ValueError: A setting is unknown, out of range or missing, or the layers' order is not
            known.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Optional[dict] = None) -> None:
        # Never empty: without paramwise options the base class would make a single group.
        super().__init__(optim_wrapper_cfg, {'layer_decay': 1., **(paramwise_cfg or {})})
        unknown = sorted(set(self.paramwise_cfg) - {'layer_decay', 'layers'})
        if unknown:
            raise ValueError(f'optim_wrapper.paramwise_cfg: LayerGroupsConstructor does not know '
                             f'{", ".join(unknown)}; it takes layer_decay and layers')
        self.layers = self.paramwise_cfg.get('layers')
        self.layer_decay = self.paramwise_cfg['layer_decay']
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f'optim_wrapper.paramwise_cfg.layer_decay={self.layer_decay} is not '
                             'within (0, 1]')
        if self.base_lr is None:
            raise ValueError('optim_wrapper.optimizer.lr is missing: the learning rates of the '
                             'layers are multiples of it')

    def add_params(self, params: List[dict], module: nn.Module, **kwargs) -> None:
        """Appends the groups of a model.

        Args:
            params (list[dict]): The groups, extended in place.
            module (nn.Module): The model.

        Raises:
            ValueError: The model's layers are not known, or a parameter is in two of them.
        """
        layers = known_layers(module, self.layers)
        num_layers = len(layers)
        groups: Dict[Tuple[int, bool], dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            layer = _layer_of(name, layers)
            decays = param.ndim > 1 and name.rpartition('.')[2] != 'pos_embed'
            if (layer, decays) not in groups:
                groups[layer, decays] = self._group(layer, num_layers, decays)
            groups[layer, decays]['params'].append(param)
        # The rest first, then layer by layer from the input, in each the decaying parameters first.
        params.extend(groups[key] for key in sorted(
            groups, key=lambda key: (key[0] != num_layers, key[0], not key[1])))

    def _group(self, layer: int, num_layers: int, decays: bool) -> dict:
        name = 'rest' if layer == num_layers else f'layer {layer}'
        group = dict(
            params=[],
            name=name if decays else f'{name}, no weight decay',
            layer=layer,
            lr=self.base_lr * self.layer_decay**(num_layers - layer))
        if not decays:
            group['weight_decay'] = 0.
        return group


def _layer_of(param: str, layers: List[Tuple[str, ...]]) -> int:
    owners = [i for i, names in enumerate(layers) if is_part_of(param, names)]
    if len(owners) > 1:
        raise ValueError(f'{param} belongs to more than one declared layer: {owners}')
    return owners[0] if owners else len(layers)

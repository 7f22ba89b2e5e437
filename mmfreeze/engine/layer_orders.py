"""The layer order of MMDetection's and MMPretrain's backbones, which do not declare it."""
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from mmdet.models.backbones.pvt import AbsolutePositionEmbedding
from torch import nn

from mmfreeze.freezing import LayerStack, declared_layers, match_layers

Names = Tuple[str, ...]


def build_stack(model: nn.Module, patterns: Optional[Sequence[str]] = None) -> LayerStack:
    """Finds the layers of a detector.

    Args:
        model (nn.Module): The detector itself, not a distributed wrapper of it.
        patterns (Sequence[str], optional): Name patterns, see :meth:`LayerStack.build`. Defaults
            to None: :func:`known_layers`.

    Returns:
        LayerStack: The layers, none of them frozen.

    Raises:
        ValueError: The order cannot be known, or a pattern matches nothing.
    """
    return LayerStack(model, known_layers(model, patterns))


def known_layers(model: nn.Module, patterns: Optional[Sequence[str]] = None) -> List[Names]:
    """Names the layers of a detector, without a look at what of them is trainable.

    Args:
        model (nn.Module): The detector itself, not a distributed wrapper of it.
        patterns (Sequence[str], optional): As for :func:`build_stack`.

    Returns:
        list[tuple[str, ...]]: Of each layer, input first, the dotted names that it consists of:
        those of the patterns, if there are any; else those that a submodule declares by
        ``ordered_layers()``; else those of ``LAYER_ORDERS``.

    Raises:
        ValueError: The order cannot be known, or a pattern matches nothing.
    """
    if patterns is not None:
        return match_layers(model, patterns)
    backbone = getattr(model, 'backbone', None)
    order = LAYER_ORDERS.get(_qualified_name(type(backbone)))
    declares = any(hasattr(module, 'ordered_layers') for module in model.modules())
    if declares or order is None:
        return declared_layers(model)
    return [tuple(f'backbone.{name}' for name in names) for names in order(backbone)]


def _qualified_name(kind: type) -> str:
    """As in configs: the package, then the class, because packages share names of classes."""
    return f'{kind.__module__.partition(".")[0]}.{kind.__name__}'


def _chain(stages: Iterable[Tuple[Names, List[str]]]) -> List[Names]:
    """Puts stages in a row; each is what leads into it, which joins its first block, and blocks."""
    return [(*entry, block) if i == 0 else (block,)
            for entry, blocks in stages for i, block in enumerate(blocks)]


def _children(parent: str, modules: Sequence[nn.Module]) -> List[str]:
    return [f'{parent}.{i}' for i in range(len(modules))]


def _resnet(backbone: nn.Module) -> List[Names]:
    stem = ('stem',) if backbone.deep_stem else ('conv1', backbone.norm1_name)
    blocks = [name for stage in backbone.res_layers
              for name in _children(stage, getattr(backbone, stage))]
    return _chain([(stem, blocks)])


def _swin(backbone: nn.Module) -> List[Names]:
    """The norms of the outputs (norm0 ...) lead to the neck and are no part of the chain."""
    stages = []
    entry: Names = ('patch_embed',)
    if backbone.use_abs_pos_embed:
        entry += ('absolute_pos_embed',)
    for s, stage in enumerate(backbone.stages):
        stages.append((entry, _children(f'stages.{s}.blocks', stage.blocks)))
        entry = (f'stages.{s}.downsample',)
    return _chain(stages)


def _pvt(backbone: nn.Module) -> List[Names]:
    """A stage is a patch embedding, blocks, and a norm, through which the next stage sees it."""
    stages = []
    entry: Names = ()
    for s, (_, layers, _) in enumerate(backbone.layers):
        blocks = _children(f'layers.{s}.1', layers)
        entry += (f'layers.{s}.0',)
        if isinstance(layers[0], AbsolutePositionEmbedding):
            entry += (blocks.pop(0),)
        stages.append((entry, blocks))
        entry = (f'layers.{s}.2',)
    *layers, last = _chain(stages)
    return [*layers, last + entry]


def _convnext(backbone: nn.Module) -> List[Names]:
    """The norms of the outputs (norm0 ...) lead to the neck and are no part of the chain."""
    return _chain(((f'downsample_layers.{s}',), _children(f'stages.{s}', stage))
                  for s, stage in enumerate(backbone.stages))


def _vgg(backbone: nn.Module) -> List[Names]:
    """A convolution with all that follows it up to the next one (norm, ReLU, pooling).

    So that the features behind a layer are the small ones behind its pooling.
    """
    layers: List[Names] = []
    for i, module in enumerate(backbone.features):
        begins = any(param.ndim > 1 for param in module.parameters())
        before = () if begins else layers.pop()
        layers.append((*before, f'features.{i}'))
    return layers


def _densenet(backbone: nn.Module) -> List[Names]:
    """The norm behind the last dense layer leads to the classifier and is no part of the chain."""
    stages = []
    entry: Names = ('stem',)
    for s, stage in enumerate(backbone.stages):
        stages.append((entry, _children(f'stages.{s}.block', stage.block)))
        entry = (f'transitions.{s}',)
    return _chain(stages)


LAYER_ORDERS: Dict[str, Callable[[nn.Module], List[Names]]] = {
    'mmdet.ResNet': _resnet,
    'mmdet.ResNetV1d': _resnet,
    'mmdet.ResNeXt': _resnet,
    'mmdet.ResNeSt': _resnet,
    'mmdet.Res2Net': _resnet,
    'mmdet.RegNet': _resnet,
    'mmdet.SwinTransformer': _swin,
    'mmdet.PyramidVisionTransformer': _pvt,
    'mmdet.PyramidVisionTransformerV2': _pvt,
    'mmdet.SSDVGG': _vgg,
    'mmpretrain.ConvNeXt': _convnext,
    'mmpretrain.DenseNet': _densenet,
    'mmpretrain.ResNet': _resnet,
    'mmpretrain.ResNet_CIFAR': _resnet,
    'mmpretrain.VGG': _vgg,
    'mmfreeze.SmallDenseNet': _densenet,
}

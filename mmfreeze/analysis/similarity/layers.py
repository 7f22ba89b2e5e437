"""What each layer makes of a minibatch of images."""
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from mmfreeze.freezing import LayerStack, called_modules
from mmfreeze.freezing.cut import evaluating, stack_body

from .cka import centred_gram


class LayerGrams:
    """Runs the layers of a model and keeps of what each hands on only its centred Gram matrix.

    A layer hands on what its last module returns; of several tensors (Swin adds the height and
    width) it is the first. All of an image's tokens or pixels together are one example: they are
    flattened, as Kornblith et al. 2019 and Nguyen et al. 2021 do.

    Args:
        model (nn.Module): The model that the stack was made of.
        stack (LayerStack): Its layers.
    """

    def __init__(self, model: nn.Module, stack: LayerStack) -> None:
        self._body = stack_body(model, stack)
        self._names = stack.names
        self._called = [(layer, model.get_submodule(called))
                        for layer, names in enumerate(stack.names)
                        for name in names for called in called_modules(model, name)]
        self._last: Optional[List[Tuple[int, nn.Module]]] = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Computes the matrices of a minibatch.

        Args:
            images (Tensor): As the backbone gets them, of shape (n, C, H, W).

        Returns:
            Tensor: Those of all L layers, of shape (L, n, n), in float64.

        Raises:
            ValueError: n is below 4, a layer is not called, or what it returns is not ordered by
                images.
        """
        if self._last is None:
            self._last = self._find_last(images[:1])
        grams: Dict[int, Tensor] = {}

        def keep(layer: int, _: nn.Module, output: Any) -> None:
            grams[layer] = centred_gram(self._features(layer, output, len(images)))

        with evaluating(self._body), _watched(self._last, keep):
            self._body(images)
        return torch.stack([grams[layer] for layer in range(len(self._names))])

    def _find_last(self, image: Tensor) -> List[Tuple[int, nn.Module]]:
        """Of each layer the module that is called last, which its names do not tell."""
        last: Dict[int, nn.Module] = {}

        def note(layer: int, module: nn.Module, _: Any) -> None:
            last[layer] = module

        with evaluating(self._body), _watched(self._called, note):
            self._body(image)
        for layer, names in enumerate(self._names):
            if layer not in last:
                raise ValueError(f'layer {layer} ({", ".join(names)}) is not called in the forward '
                                 f'pass of {type(self._body).__name__}')
        return list(last.items())

    def _features(self, layer: int, output: Any, images: int) -> Tensor:
        tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if not tensors or not tensors[0].ndim or len(tensors[0]) != images:
            shapes = ', '.join(str(tuple(tensor.shape)) for tensor in tensors) or 'no tensor'
            raise ValueError(f'layer {layer} ({", ".join(self._names[layer])}) returns {shapes}; '
                             f'the first axis should be that of the {images} images')
        return tensors[0]


@contextmanager
def _watched(modules: Iterable[Tuple[int, nn.Module]],
             watch: Callable[[int, nn.Module, Any], None]) -> Iterator[None]:
    """Calls ``watch`` with the layer, the module and what it returned, whenever one was called."""
    with ExitStack() as hooks:
        for layer, module in modules:
            hooks.callback(module.register_forward_hook(
                lambda module, _, output, layer=layer: watch(layer, module, output)).remove)
        yield

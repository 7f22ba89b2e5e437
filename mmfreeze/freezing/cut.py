"""Training a model without calling its first layers, on what they once computed."""
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .layers import LayerStack, called_modules

# What dropped layers pass on. Whoever reads it against all expectation spoils the loss with it.
NOTHING = float('nan')


class PrefixCut:
    """The place behind the first n layers of a model, where stored features can take over.

    While features are replayed, each module of the prefix is exchanged for one that computes
    nothing. The last one hands out what it once computed, and so does every other one whose
    output the backbone hands on as it is (a feature level that is read later). All others pass on
    a NaN for each sample. Parameters and names are untouched, for modules are exchanged for the
    time of an iteration only.

    That is right for backbones that hand one tensor from layer to layer, whatever happens inside
    of a layer (residual blocks). It is not for those whose later layers read several earlier ones.
    Which of the two a backbone is, is found out by trying: an example has to give the same output
    from its features.

    Args:
        model (nn.Module): The model that the stack was made of.
        stack (LayerStack): Its layers, of which the first ``num_layers`` are frozen.
        num_layers (int): n, at least 1.
        example (Tensor): A batch as the backbone gets it, of shape (B, ...).

    Raises:
        ValueError: The backbone does not give the same output from the features.
    """

    def __init__(self, model: nn.Module, stack: LayerStack, num_layers: int,
                 example: Tensor) -> None:
        self.num_layers = num_layers
        self._body = stack_body(model, stack)
        self._slots = [_slot(model, called) for names in stack.names[:num_layers]
                       for name in names for called in called_modules(model, name)]
        self._blank = example.new_full((1,), NOTHING).expand(example.shape)
        with evaluating(self._body), torch.no_grad():
            self._find_stored(example)
            self._check(example, f'{type(self._body).__name__} cannot be cut behind its layer '
                        f'{num_layers - 1} ({", ".join(stack.names[num_layers - 1])})')

    def from_images(self, images: Tensor) -> List[Tensor]:
        """Computes the features of a batch, and nothing behind them.

        Args:
            images (Tensor): As the backbone gets them, of shape (B, ...).

        Returns:
            list[Tensor]: The feature levels that are read later, if there are any, and the output
            of the prefix as the last one; of shapes (B, ...).
        """
        return self._capture(lambda: self._body(images))

    def from_features(self, cut: 'PrefixCut', features: Sequence[Tensor]) -> List[Tensor]:
        """Computes the features of a batch from those of an earlier cut.

        Args:
            cut (PrefixCut): With fewer layers than this one.
            features (Sequence[Tensor]): Its features, of shapes (B, ...).

        Returns:
            list[Tensor]: As :meth:`from_images`.
        """
        blank = self._blank[:1].expand(len(features[0]), *self._blank.shape[1:])
        with cut.replay(features):
            return self._capture(lambda: self._body(blank))

    @contextmanager
    def replay(self, features: Sequence[Tensor]) -> Iterator[None]:
        """Lets the model take these features for what the prefix computes.

        Args:
            features (Sequence[Tensor]): As :meth:`from_images` returns them, of the samples that
                the model is going to be called with.
        """
        stored = dict(zip(self._stored, features))
        with _exchanged({slot: _Replay(stored.get(slot)) for slot in self._slots}):
            yield

    @torch.no_grad()
    def _capture(self, run: Callable[[], Any]) -> List[Tensor]:
        taps = {slot: _Tap(slot.occupant) for slot in self._stored}
        taps[self._stored[-1]].stops = True
        # In eval mode the prefix is anyhow, once it is frozen; before, this must change nothing.
        with evaluating(self._body), _exchanged(taps):
            try:
                run()
            except _Reached:
                pass
        return [tap.output for tap in taps.values()]

    def _find_stored(self, example: Tensor) -> None:
        """Which modules' outputs are needed: those that are handed on, and the last one called."""
        taps = {slot: _Tap(slot.occupant) for slot in self._slots}
        order: List[_Tap] = []
        for tap in taps.values():
            tap.calls = order
        with _exchanged(taps):
            handed_on = {id(leaf) for leaf in tree_leaves(self._body(example))}
        self._stored = [slot for slot, tap in taps.items()
                        if id(tap.output) in handed_on and tap is not order[-1]]
        self._stored.append(next(slot for slot, tap in taps.items() if tap is order[-1]))

    def _check(self, example: Tensor, refusal: str) -> None:
        outputs = tree_leaves(self._body(example))
        try:
            with self.replay(self.from_images(example)):
                again = tree_leaves(self._body(example))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a backbone says of inputs that it does not expect
            raise ValueError(f'{refusal}: the layers behind it read more than its output; train '
                             'without store') from error
        # A run that has diverged is no matter of the backbone.
        if not all(a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
                   for a, b in zip(outputs, again)):
            raise ValueError(f'{refusal}: the layers behind it give another output from its '
                             'features; train without store')


class _Slot(NamedTuple):
    """Where a module is kept."""
    parent: nn.Module
    name: str

    @property
    def occupant(self) -> nn.Module:
        return self.parent._modules[self.name]


class _Reached(Exception):
    """All features are there: the rest of the forward pass is not needed."""


class _Tap(nn.Module):
    """Calls a module and keeps what it returns."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.output, self.stops, self.calls = module, None, False, []

    def forward(self, *args, **kwargs) -> Any:
        self.output = self.module(*args, **kwargs)
        self.calls.append(self)
        if self.stops:
            raise _Reached
        return self.output


class _Replay(nn.Module):
    """Returns some stored features; without them, a NaN for each sample."""

    def __init__(self, features: Tensor = None) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        if self.features is not None:
            return self.features
        return x.new_full(x.shape[:1] + (1,) * (x.ndim - 1), NOTHING)


@contextmanager
def _exchanged(modules: Dict[_Slot, nn.Module]) -> Iterator[None]:
    before = {slot: slot.occupant for slot in modules}
    # Not by setattr, which would register the slot anew, behind the others.
    for slot, module in modules.items():
        slot.parent._modules[slot.name] = module
    try:
        yield
    finally:
        for slot, module in before.items():
            slot.parent._modules[slot.name] = module


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    training = [inner for inner in module.modules() if inner.training]
    module.eval()
    try:
        yield
    finally:
        for inner in training:
            inner.training = True


def stack_body(model: nn.Module, stack: LayerStack) -> nn.Module:
    """The child of the model that holds the layers: its backbone."""
    root, _, inner = stack.names[-1][-1].partition('.')
    return getattr(model, root) if inner else model


def _slot(model: nn.Module, name: str) -> _Slot:
    parent, _, leaf = name.rpartition('.')
    return _Slot(model.get_submodule(parent), leaf)

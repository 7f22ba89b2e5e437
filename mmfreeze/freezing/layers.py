"""The ordered layers of a model, and what it means that the first n of them are frozen."""
import re
from typing import Iterable, List, Optional, Sequence, Tuple

from torch import nn
from torch.optim import Optimizer

Names = Tuple[str, ...]


class LayerStack:
    """The freezable layers of a model, input first.

    A layer is a set of submodules and parameters, given by dotted names. A layer in which nothing
    is trainable (a pooling, or what the model itself froze, such as ``frozen_stages`` of a ResNet)
    is no layer of its own: it joins the one that follows, so that ``len(stack)`` counts layers
    that freezing can make cheaper.

    Args:
        model (nn.Module): The model itself, not a distributed wrapper of it.
        layers (Sequence[Sequence[str]]): Dotted names within ``model`` of the submodules and
            parameters of each layer, in the order of the forward pass.

    Raises:
        ValueError: A name is not in the model, nothing is trainable, or a parameter is shared
            with another layer or with the rest of the model (such a layer cannot be frozen alone).
    """

    def __init__(self, model: nn.Module, layers: Sequence[Sequence[str]]) -> None:
        self.names: List[Names] = []
        self.params: List[List[nn.Parameter]] = []
        self.frozen_by_model: List[str] = []
        self.left_out: List[str] = []
        self.num_frozen = 0
        self._modules: List[List[nn.Module]] = []

        waiting: List[str] = []
        for names in layers:
            waiting.extend(names)
            owned = [p for name in names for p in _parameters(model, name)]
            if not any(p.requires_grad for p in owned):
                self.frozen_by_model.extend(names if owned else ())
                continue
            self.names.append(tuple(waiting))
            self.params.append([
                p for name in waiting for p in _parameters(model, name) if p.requires_grad])
            self._modules.append([
                m for name in waiting for m in _modules(model, name)])
            waiting = []
        if not self.names:
            raise ValueError(
                f'{type(model).__name__}: the layers {[list(names) for names in layers]} hold no '
                'trainable parameter, so there is nothing to freeze')
        self._refuse_shared_parameters(model)
        self.left_out = self._find_left_out(model)

    @classmethod
    def build(cls, model: nn.Module, patterns: Optional[Sequence[str]] = None) -> 'LayerStack':
        """Finds the layers of a model.

        Args:
            model (nn.Module): The model itself, not a distributed wrapper of it.
            patterns (Sequence[str], optional): Names in the order of the forward pass, in which
                each ``*`` stands for a number. Every match of a pattern with a ``*`` is a layer
                (in numerical order); a name without one belongs to the layer that follows, as a
                stem does. ResNet: ``['backbone.conv1', 'backbone.bn1', 'backbone.layer*.*']``.
                Defaults to None: what a submodule declares by ``ordered_layers()``.

        Returns:
            LayerStack: The layers, none of them frozen.

        Raises:
            ValueError: The order cannot be known, or a pattern matches nothing.
        """
        if patterns is None:
            return cls(model, declared_layers(model))
        return cls(model, match_layers(model, patterns))

    def __len__(self) -> int:
        return len(self.names)

    def freeze(self, n: int, optimizer: Optional[Optimizer] = None) -> bool:
        """Makes the first ``n`` layers frozen; they stay so.

        Their parameters need no gradient and hold none, their optimizer state is gone, and their
        modules are in eval mode, so that running statistics stand still and dropout and drop-path
        are off. Since only a prefix is ever frozen, autograd records nothing for it. Parameters
        remain in the optimizer's groups: removing them would break its ``state_dict``.

        Loops call ``model.train()`` whenever they like, so this is called before each iteration:
        with ``n`` unchanged it only puts the prefix back into eval mode.

        Args:
            n (int): Number of leading layers, from ``num_frozen`` to ``len(self)``.
            optimizer (Optimizer, optional): Whose state of the frozen parameters is dropped.

        Returns:
            bool: Whether layers were frozen that were not before.

        Raises:
            ValueError: ``n`` is out of range; layers are never thawed.
        """
        if not self.num_frozen <= n <= len(self):
            raise ValueError(f'cannot freeze {n} of {len(self)} layers: {self.num_frozen} are '
                             'frozen already, and layers are never thawed')
        for params in self.params[self.num_frozen:n]:
            for param in params:
                param.requires_grad_(False)
                # A zero gradient would still move an AdamW parameter; no gradient does not.
                param.grad = None
                if optimizer is not None:
                    optimizer.state.pop(param, None)
        changed = n > self.num_frozen
        self.num_frozen = n
        for modules in self._modules[:n]:
            for module in modules:
                if module.training:  # reading costs a twentieth of setting, in every iteration
                    module.training = False
        return changed

    def numel(self, layer: int) -> int:
        """Number of parameters of a layer that freezing it stops training."""
        return sum(p.numel() for p in self.params[layer])

    def describe(self, flops: Optional[Sequence[int]] = None) -> str:
        """A table of the layers: number, parameters in thousands, names.

        Args:
            flops (Sequence[int], optional): Forward FLOPs of each layer, for a column of their own.

        Returns:
            str: A line for each layer, below a heading.
        """
        cost = [''] * len(self) if flops is None else [f'{n / 1e9:>14,.3f}  ' for n in flops]
        heading = '' if flops is None else f'{"forward/GFLOP":>14}  '
        rows = [f'{i:>5}  {self.numel(i) / 1e3:>12,.1f}  {cost[i]}{", ".join(names)}'
                for i, names in enumerate(self.names)]
        if self.frozen_by_model:
            rows.append('frozen by the model itself, not counted: '
                        + ', '.join(self.frozen_by_model))
        if self.left_out:
            rows.append('in no layer, never frozen (whatever comes before the layers makes them '
                        'save less): ' + ', '.join(self.left_out))
        return '\n'.join([f'{"layer":>5}  {"parameters/k":>12}  {heading}names', *rows])

    def _find_left_out(self, model: nn.Module) -> List[str]:
        """Trainable parameters of the same child of the model (its backbone) that no layer has."""
        every = [name for names in self.names for name in names]
        roots = {name.split('.')[0] for name in every}
        return [name for name, p in model.named_parameters()
                if p.requires_grad and is_part_of(name, roots) and not is_part_of(name, every)]

    def _refuse_shared_parameters(self, model: nn.Module) -> None:
        owner = {id(p): i for i, params in enumerate(self.params) for p in params}
        if len(owner) < sum(map(len, self.params)):
            raise ValueError(f'{type(model).__name__}: two layers share a parameter, or a name is '
                             f'listed twice, in {self.names}')
        for name, param in model.named_parameters(remove_duplicate=False):
            layer = owner.get(id(param))
            if layer is not None and not is_part_of(name, self.names[layer]):
                raise ValueError(f'{type(model).__name__}: {name} is also a parameter of layer '
                                 f'{layer} ({", ".join(self.names[layer])}), which can therefore '
                                 'not be frozen alone')


def declared_layers(model: nn.Module) -> List[Names]:
    """The layers that one submodule of the model declares by ``ordered_layers()``.

    Args:
        model (nn.Module): Any model; usually its backbone declares
            ``ordered_layers() -> list[tuple[str, ...]]`` with names relative to itself.

    Returns:
        list[tuple[str, ...]]: Names relative to ``model``, input first.

    Raises:
        ValueError: None or several submodules declare an order.
    """
    found = [(name, m) for name, m in model.named_modules() if hasattr(m, 'ordered_layers')]
    if len(found) != 1:
        declaring = ', '.join(name or '(model)' for name, _ in found) or 'none of its submodules'
        children = ', '.join(name for name, _ in model.named_children())
        raise ValueError(
            f'{type(model).__name__}: the order of its layers is not known: {declaring} declares '
            'ordered_layers(). Declare it in the backbone, or name the layers for '
            "LayerFreezingHook, input first: layers=['backbone.conv1', 'backbone.bn1', "
            "'backbone.layer*.*'] "
            f'(its submodules: {children})')
    prefix, module = found[0]
    return [tuple(f'{prefix}.{name}' if prefix else name for name in names)
            for names in module.ordered_layers()]


def is_part_of(param: str, names: Iterable[str]) -> bool:
    """Whether a parameter is one of the named ones, or within one of the named submodules."""
    return any(param == name or param.startswith(name + '.') for name in names)


def called_modules(model: nn.Module, name: str) -> List[str]:
    """Names of the modules that run in the forward pass for one name of a layer.

    Args:
        model (nn.Module): The model.
        name (str): Dotted name of a submodule or parameter.

    Returns:
        list[str]: The name itself; of a mere container, which nobody calls, those within it; of a
        parameter none.
    """
    module = _resolve(model, name)
    if isinstance(module, nn.Parameter):
        return []
    if type(module).forward is nn.Module.forward:
        return [inner for child, _ in module.named_children()
                for inner in called_modules(model, f'{name}.{child}')]
    return [name]


def match_layers(model: nn.Module, patterns: Sequence[str]) -> List[Names]:
    """The layers that name patterns mean, see :meth:`LayerStack.build`.

    Args:
        model (nn.Module): Any model.
        patterns (Sequence[str]): Names, input first, in which each ``*`` stands for a number.

    Returns:
        list[tuple[str, ...]]: Names relative to ``model``, input first.

    Raises:
        ValueError: A pattern matches nothing, or no layer follows a name without ``*``.
    """
    if isinstance(patterns, str):
        raise ValueError(f'layers must be a list of names, but is the string {patterns!r}')
    known = [name for name, _ in model.named_modules()] + [n for n, _ in model.named_parameters()]
    layers: List[Names] = []
    entry: Names = ()
    for pattern in patterns:
        regex = re.compile(re.escape(pattern).replace(r'\*', r'(\d+)'))
        matches = {name: tuple(map(int, m.groups()))
                   for name in known if (m := regex.fullmatch(name))}
        if not matches:
            raise ValueError(
                f'{type(model).__name__}: the pattern {pattern!r} of layers={list(patterns)} '
                f'matches no submodule or parameter (* stands for a number){_hint(known, pattern)}')
        if '*' not in pattern:
            entry += (pattern,)
            continue
        for name in sorted(matches, key=matches.__getitem__):
            layers.append(entry + (name,))
            entry = ()
    if entry:
        raise ValueError(f'layers={list(patterns)}: no layer follows {entry[-1]!r}; names without '
                         '* belong to the layer after them')
    return layers


def _hint(known: Sequence[str], pattern: str) -> str:
    parent = pattern.split('*')[0].rpartition('.')[0]
    names = [n for n in known if n.rpartition('.')[0] == parent and n]
    return f'; {parent or "the model"} holds: {", ".join(names[:12])}' if names else ''


def _parameters(model: nn.Module, name: str) -> List[nn.Parameter]:
    target = _resolve(model, name)
    return [target] if isinstance(target, nn.Parameter) else list(target.parameters())


def _modules(model: nn.Module, name: str) -> List[nn.Module]:
    target = _resolve(model, name)
    return [] if isinstance(target, nn.Parameter) else list(target.modules())


def _resolve(model: nn.Module, name: str):
    target = model
    for part in name.split('.'):
        target = getattr(target, part, None)
    if not isinstance(target, (nn.Module, nn.Parameter)):
        raise ValueError(f'{type(model).__name__} has no submodule or parameter {name!r}')
    return target

"""The detector that is measured, with some of its layers frozen or as it should ideally be."""
import copy
import gc
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing import LayerStack, called_modules
from mmfreeze.utils.configs import class_name

# The wrapper without and with what freezing needs.
FREEZING = dict(OptimWrapper='FreezeOptimWrapper', AmpOptimWrapper='AmpFreezeOptimWrapper')
PLAIN = {freezing: plain for plain, freezing in FREEZING.items()}


class Subject:
    """A config's detector and its batch, ready to be trained in one way or another.

    The learning rate is zero, so that every iteration finds the same weights and does the same
    work. Weights are random: pre-trained ones would change no time. Gradients are not accumulated.

    Args:
        cfg (Config): With ``model`` and ``optim_wrapper``.
        data (dict): A batch as the data loader gives it.
        device (torch.device): Where to train.
        layers (Sequence[str], optional): Name patterns of the layers. Defaults to None: their
            known order.

    Raises:
        ValueError: The layers' order is not known, or the optimizer wrapper is not one of
            MMEngine's or of this project's.
    """

    def __init__(self, cfg: Config, data: Dict[str, Any], device: torch.device,
                 layers: Optional[Sequence[str]] = None) -> None:
        self.kind = class_name(cfg.optim_wrapper.get('type', 'OptimWrapper'))
        if self.kind not in (*FREEZING, *PLAIN):
            raise ValueError(f'optim_wrapper.type={self.kind!r} cannot be measured against one '
                             f'with freezing; those that can: {", ".join((*FREEZING, *PLAIN))}')
        self.data, self.device, self.layers = data, device, layers
        self._wrapper_cfg = cfg.optim_wrapper
        model_cfg = copy.deepcopy(cfg.model)
        forget_pretrained(model_cfg)
        self.model = MODELS.build(model_cfg)
        self.model.init_weights()
        self.model.to(device).train()
        self._freezable = [p for params in build_stack(self.model, layers).params for p in params]

    def thawed(self) -> LayerStack:
        """Makes everything trainable again that the model itself leaves trainable."""
        # Cycles keep the wrapper of the visit before alive, and the state of its optimizer.
        gc.collect()
        return thaw(self.model, self._freezable, self.layers)

    def wrapper(self, freezing: bool) -> OptimWrapper:
        """Builds the config's optimizer wrapper, with or without what freezing needs."""
        cfg = copy.deepcopy(self._wrapper_cfg)
        plain = PLAIN.get(self.kind, self.kind)
        cfg.update(type=f'mmdet.{FREEZING[plain]}' if freezing else plain, accumulative_counts=1)
        wrapper = build_optim_wrapper(self.model, cfg)
        for group in wrapper.optimizer.param_groups:
            group['lr'] = 0.
        return wrapper

    @contextmanager
    def frozen(self, num_frozen: int, watch: Callable[[OptimWrapper], None]
               ) -> Iterator[Callable[[], Any]]:
        """The detector as a run has it whose first layers are frozen.

        Args:
            num_frozen (int): Number of leading layers.
            watch (Callable): Called with the optimizer wrapper.

        Yields:
            Callable: Trains an iteration, as ``LayerFreezingHook`` and the loop do.
        """
        stack, wrapper = self.thawed(), self.wrapper(freezing=True)
        stack.freeze(num_frozen, wrapper.optimizer)
        watch(wrapper)

        def iterate() -> None:
            stack.freeze(num_frozen)
            self.model.train_step(self.data, wrapper)

        yield iterate

    @contextmanager
    def ideal(self, num_frozen: int, watch: Callable[[OptimWrapper], None]
              ) -> Iterator[Callable[[], Any]]:
        """The detector as it would be if the first layers belonged to somebody else.

        They run in inference mode and without gradients, so that what they hand on is detached;
        only what comes behind them has an optimizer, which is MMEngine's own. Nothing of
        this project's mechanism takes part.

        Args:
            num_frozen (int): Number of leading layers.
            watch (Callable): Called with the optimizer wrapper.

        Yields:
            Callable: Trains an iteration.
        """
        stack, wrapper = self.thawed(), self.wrapper(freezing=False)
        prefix = {id(p) for params in stack.params[:num_frozen] for p in params}
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group['params'] = [p for p in group['params'] if id(p) not in prefix]
        groups[:] = [group for group in groups if group['params']]
        watch(wrapper)
        with ExitStack() as hooks:
            for names in stack.names[:num_frozen]:
                for called in (c for name in names for c in called_modules(self.model, name)):
                    module = self.model.get_submodule(called)
                    module.eval()
                    hooks.callback(module.register_forward_pre_hook(_without_gradients).remove)
                    hooks.callback(module.register_forward_hook(_with_gradients).remove)
            yield lambda: self.model.train_step(self.data, wrapper)


def _without_gradients(*_) -> None:
    torch.set_grad_enabled(False)


def _with_gradients(*_) -> None:
    torch.set_grad_enabled(True)


def thaw(model: nn.Module, freezable: Sequence[nn.Parameter],
         layers: Optional[Sequence[str]]) -> LayerStack:
    """Makes everything trainable again that a model itself leaves trainable.

    Args:
        model (nn.Module): The model; it is in training mode then and has no gradients.
        freezable (Sequence[nn.Parameter]): The parameters of its layers.
        layers (Sequence[str], optional): Name patterns of the layers.

    Returns:
        LayerStack: The layers, none of them frozen.
    """
    for param in freezable:
        param.requires_grad_(True)
    for param in model.parameters():
        param.grad = None
    model.train()
    return build_stack(model, layers)


def forget_pretrained(cfg: Any) -> None:
    """Removes what would load start weights from everywhere in a model's config."""
    if isinstance(cfg, (list, tuple)):
        for item in cfg:
            forget_pretrained(item)
    elif isinstance(cfg, ConfigDict):
        init = cfg.get('init_cfg')
        if isinstance(init, dict) and str(init.get('type')).startswith('Pretrained'):
            cfg.init_cfg = None
        for value in cfg.values():
            forget_pretrained(value)

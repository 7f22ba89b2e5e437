"""Learning rates by layer that hold for one step, as FreezeOut sets them."""
from typing import List, Optional

from mmdet.engine.schedulers import QuadraticWarmupLR
from mmengine.optim import ConstantLR, LinearLR
from mmengine.runner import Runner

from mmfreeze.freezing import LayerStack


class LayerRatesMixin:
    """Multiplies the learning rate of each group by a factor of its layer, while a step lasts.

    Schedulers compute the next learning rate from the present one, and checkpoints hold it: so
    between two steps each group has exactly the one that its scheduler gave it.

    Attributes:
        lr_factors (list[float], optional): L + 1 factors for the coming steps, one for each layer
            and the last for everything behind them. With None a step is MMEngine's own.
    """

    lr_factors: Optional[List[float]] = None

    def use_layers(self, stack: LayerStack) -> None:
        """Finds the layer of each group, by its parameters.

        Numbers that groups carry would not do: the stack does not count layers that the model
        itself froze.

        Args:
            stack (LayerStack): The layers that ``lr_factors`` are meant for.

        Raises:
            ValueError: A group is not within one layer.
        """
        layer_of = {id(p): i for i, params in enumerate(stack.params) for p in params}
        self._layers: List[int] = []
        for number, group in enumerate(self.optimizer.param_groups):
            layers = {layer_of.get(id(p), len(stack)) for p in group['params']}
            if len(layers) > 1:
                raise ValueError(
                    f'each layer has a learning rate of its own, but group {number} of the '
                    f'optimizer holds parameters of {len(layers)} layers: set '
                    "optim_wrapper.constructor='LayerGroupsConstructor' and, where "
                    'LayerFreezingHook has layers, the same optim_wrapper.paramwise_cfg.layers')
            self._layers.extend(layers)

    def step(self, **kwargs) -> None:
        """Updates the parameters, each layer at its own learning rate."""
        if self.lr_factors is None:
            return super().step(**kwargs)
        groups = self.optimizer.param_groups
        rates = [group['lr'] for group in groups]
        try:
            for group, rate, layer in zip(groups, rates, self._layers):
                group['lr'] = rate * self.lr_factors[layer]
            super().step(**kwargs)
        finally:
            for group, rate in zip(groups, rates):
                group['lr'] = rate


def prepare_layer_rates(runner: Runner, stack: LayerStack, policy: str) -> None:
    """Makes a runner ready for a policy that sets learning rates.

    Warns of schedulers that anneal as well. A warm-up is none: a linear one that ends at the full
    learning rate, a constant one, or YOLOX's quadratic one.

    Args:
        runner (Runner): Before training.
        stack (LayerStack): The layers of its model.
        policy (str): Name of the policy, for messages.

    Raises:
        ValueError: The optimizer wrapper cannot do it, or its groups are not within layers.
    """
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, LayerRatesMixin):
        raise ValueError(
            f'{policy} sets the learning rate of each layer, which {type(wrapper).__name__} cannot '
            "do: set optim_wrapper.type='FreezeOptimWrapper' (or, for mixed precision, "
            "'AmpFreezeOptimWrapper') and optim_wrapper.constructor='LayerGroupsConstructor'")
    wrapper.use_layers(stack)
    annealing = [
        type(scheduler).__name__ for scheduler in runner.param_schedulers or ()
        if scheduler.param_name == 'lr'
        and not isinstance(scheduler, (ConstantLR, QuadraticWarmupLR))
        and not (isinstance(scheduler, LinearLR) and scheduler.end_factor == 1)]
    if annealing:
        runner.logger.warning(
            f'{policy} anneals the learning rate itself, and {", ".join(annealing)} will do it a '
            'second time: leave nothing but a warm-up in param_scheduler')

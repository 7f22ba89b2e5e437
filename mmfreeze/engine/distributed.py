"""Wrapping a model for distributed training again, once the set of trainable parameters changed."""
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel


def rewrap(runner: Runner) -> None:
    """Replaces the distributed wrapper of ``runner.model`` by a new one around the same model.

    The new one has the user's arguments and communication hook.

    ``DistributedDataParallel`` fixes at construction which gradients it reduces: freezing under an
    old wrapper makes the next iteration fail, or goes on reducing what no longer exists. Does
    nothing where the model is not wrapped.

    Args:
        runner (Runner): Whose ``model`` is wrapped as its config says.
    """
    wrapper = runner.model
    if not is_model_wrapper(wrapper):
        return
    model = wrapper.module
    comm_hooks = list(wrapper._comm_hooks)  # torch has no public way to ask for them
    # The old wrapper's reducer must be gone before the new one registers its gradient hooks.
    runner.model = wrapper = None
    # Synchronised BatchNorm is in the model already; converting again would exchange its modules.
    sync_bn = runner.cfg.pop('sync_bn', None)
    try:
        runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
    finally:
        if sync_bn is not None:
            runner.cfg.sync_bn = sync_bn
    for hook, state in comm_hooks:
        # What PowerSGD remembers of each bucket does not fit the new ones.
        for memory in ('p_memory_dict', 'q_memory_dict', 'error_dict'):
            getattr(state, memory, {}).clear()
        runner.model.register_comm_hook(state, hook)


def require_freezable(model: nn.Module) -> None:
    """Checks, before training, that layers can be frozen under a model's distributed wrapper.

    Args:
        model (nn.Module): The model as the runner has it, wrapped or not.

    Raises:
        NotImplementedError: The wrapper is not ``DistributedDataParallel`` (FSDP, DeepSpeed), or
            has a static graph, or parameters within the model are sharded.
    """
    # Of either kind, as a wrapper or, wrapped by the model itself, anywhere inside.
    if any(isinstance(m, (FSDPModule, FullyShardedDataParallel)) for m in model.modules()):
        raise NotImplementedError(
            'layers cannot be frozen under FSDP, which shards parameters in groups that train as '
            'a whole: use MMDistributedDataParallel (model_wrapper_cfg)')
    if not is_model_wrapper(model):
        return
    if not isinstance(model, DistributedDataParallel):
        raise NotImplementedError(
            f'layers cannot be frozen under {type(model).__name__}: use '
            'MMDistributedDataParallel (model_wrapper_cfg)')
    if model.static_graph:
        raise NotImplementedError('layers cannot be frozen under static_graph=True: remove it '
                                  'from model_wrapper_cfg')

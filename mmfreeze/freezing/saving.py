"""What freezing saves: arithmetic on the costs of the layers.

A trajectory is the number of frozen layers in each epoch, or in each iteration; all of its entries
count alike. Nothing here trains.
"""
import copy
from typing import List, Sequence, Tuple

from .cost import LayerCosts
from .policies import Clock, FreezePolicy


def iteration_flops(costs: LayerCosts, num_frozen: int, stored: bool = False) -> int:
    """FLOPs of a training iteration, forward and backward.

    Args:
        costs (LayerCosts): Of the batch in question.
        num_frozen (int): Number of leading layers that are frozen.
        stored (bool): Whether what the frozen layers hand on comes from a store, so that they do
            not run at all. Defaults to False: their forward pass is paid.

    Returns:
        int: FLOPs for the batch that ``costs`` belongs to.
    """
    return (_forward_flops(costs, num_frozen if stored else 0)
            + sum(costs.backward[num_frozen:]) + costs.rest_backward)


def terminal_forward_reduction(costs: LayerCosts, num_frozen: int) -> float:
    """Learn&Drop's reduction of forward FLOPs as it is when training ends, ``1 - F_E / F``.

    Args:
        costs (LayerCosts): Of any batch.
        num_frozen (int): Number of layers that are dropped in the end.

    Returns:
        float: Fraction of the forward pass that dropped layers no longer take.
    """
    return 1 - _forward_flops(costs, num_frozen) / _forward_flops(costs, 0)


def average_forward_reduction(costs: LayerCosts, trajectory: Sequence[int],
                              fills: Sequence[Tuple[int, int]] = (), unit: int = 1) -> float:
    """Learn&Drop's reduction of forward FLOPs over the run, ``1 - sum over e of F_e / (E F)``.

    The passes that fill the store are paid too. That the reduction printed for VGG-11 is such an
    average, and how it counts them, is a reconstruction.

    Args:
        costs (LayerCosts): Of any batch.
        trajectory (Sequence[int]): Number of dropped layers.
        fills (Sequence[tuple[int, int]]): Passes over the training set that filled the store, as
            (a, b) for one through the layers a ... b - 1 alone. Defaults to ().
        unit (int): Entries of the trajectory that make one pass over the training set: 1 for
            epochs, the iterations of an epoch for iterations. Defaults to 1.

    Returns:
        float: Fraction of the forward passes saved; negative where filling cost more than that.
    """
    spent = sum(_forward_flops(costs, n) for n in trajectory) + unit * _fill_flops(costs, fills)
    return 1 - spent / (len(trajectory) * _forward_flops(costs, 0))


def freezeout_saving_backward_as_forward(ends: Sequence[float], forward: Sequence[int]) -> float:
    """FreezeOut's own estimate, ``1 - sum (1 + t_i) c_i / (2 sum c_i)``.

    It takes a layer's backward pass to cost as much as its forward pass. Read in the code of Brock
    et al. 2017, who multiply the rows of their linear schedules by 1.3 besides.

    Args:
        ends (Sequence[float]): t_i, the fraction of the run at which a layer freezes.
        forward (Sequence[int]): c_i, the forward cost of the same layer. What never freezes may be
            among them, with t = 1.

    Returns:
        float: Fraction of the cost of training.
    """
    spent = sum((1 + t) * cost for t, cost in zip(ends, forward, strict=True))
    return 1 - spent / (2 * sum(forward))


def freezeout_saving_backward_twice_forward(ends: Sequence[float],
                                            forward: Sequence[int]) -> float:
    """The same with a backward pass of twice the cost: 2/3 of the weighted mean of ``1 - t_i``.

    Both gradients of a product, of its inputs and of its weight, take as much as the product. The
    result is 4/3 of FreezeOut's own estimate, whatever the layers are.

    Args:
        ends (Sequence[float]): As for :func:`freezeout_saving_backward_as_forward`.
        forward (Sequence[int]): Likewise.

    Returns:
        float: Fraction of the cost of training.
    """
    saved = sum((1 - t) * cost for t, cost in zip(ends, forward, strict=True))
    return 2 / 3 * saved / sum(forward)


def predicted_trajectory(policy: FreezePolicy, num_layers: int, max_iters: int,
                         unit: int = 1) -> List[int]:
    """The number of layers that a policy will have frozen, asked as the hook asks it.

    Args:
        policy (FreezePolicy): As it is built; it stays so. What needs signals cannot be asked, but
            its :meth:`~FreezePolicy.bounds` can.
        num_layers (int): Number of freezable layers, L.
        max_iters (int): Iterations of the run.
        unit (int): Iterations of an epoch, 1 in an iteration loop. Defaults to 1.

    Returns:
        list[int]: An entry for each epoch; for each iteration where the policy decides at every
        iteration.

    Raises:
        ValueError: The policy wants signals, or does not fit the number of layers.
    """
    if policy.wants:
        raise ValueError(f'{type(policy).__name__} decides by {", ".join(policy.wants)}, which '
                         'training alone shows; predict its bounds() instead')
    policy = copy.deepcopy(policy)
    policy.setup(num_layers)
    trajectory = []
    for iteration in range(0, max_iters, 1 if policy.every_iteration else unit):
        clock = Clock(iteration, max_iters, unit)
        if policy.due(clock):
            policy.decide(clock, {})
        trajectory.append(policy.num_frozen)
    return trajectory


def predicted_saving(costs: LayerCosts, trajectory: Sequence[int], stored: bool = False,
                     fills: Sequence[Tuple[int, int]] = (), unit: int = 1) -> float:
    """Fraction of the FLOPs of training, forward and backward, that a run saves.

    Args:
        costs (LayerCosts): Of any batch.
        trajectory (Sequence[int]): Number of frozen layers, as of :func:`predicted_trajectory`.
        stored (bool): See :func:`iteration_flops`. Defaults to False.
        fills (Sequence[tuple[int, int]]): See :func:`average_forward_reduction`. Defaults to ().
        unit (int): Likewise. Defaults to 1.

    Returns:
        float: One minus the FLOPs of the run over those of one that freezes nothing.
    """
    spent = sum(iteration_flops(costs, n, stored) for n in trajectory)
    spent += unit * _fill_flops(costs, fills)
    return 1 - spent / (len(trajectory) * iteration_flops(costs, 0))


def _forward_flops(costs: LayerCosts, first: int) -> int:
    """Of the layers from ``first`` on and of all that is in no layer."""
    return sum(costs.forward[first:]) + costs.rest_forward


def _fill_flops(costs: LayerCosts, fills: Sequence[Tuple[int, int]]) -> int:
    return sum(sum(costs.forward[a:b]) for a, b in fills)

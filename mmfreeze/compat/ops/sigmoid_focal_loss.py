"""Sigmoid focal loss."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .working_dtype import working_dtype


def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor,
                               gamma: float, alpha: float) -> None:
    """Focal loss (Lin et al., "Focal Loss for Dense Object Detection", 2017) of every logit.

    With q the probability given to what is true of a class (p if it is the target, else 1 - p)
    and a its share (alpha or 1 - alpha), the loss is ``-a (1 - q)^gamma log q``. The logarithm is
    exact where mmcv cuts it off, at logits beyond 87.

    Args:
        input: Logits in shape (N, C).
        target: int64 classes in shape (N, ); C means that none of the classes is true.
        weight: Weights of the target classes in shape (C, ); empty for none. A row without a true
            class has the weight 1.
        output: Buffer in shape (N, C); receives the result, not reduced.
        gamma: Exponent that takes weight from easy logits.
        alpha: Share of the true class.
    """
    log_q, factor, _ = _terms(input, target, weight, gamma, alpha)
    output.copy_(-factor * log_q)


def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor,
                                gamma: float, alpha: float) -> None:
    """Derivative of :func:`sigmoid_focal_loss_forward`'s sum with respect to the logits.

    Args:
        grad_input: Buffer in shape (N, C); receives the result.

    The other arguments are those of :func:`sigmoid_focal_loss_forward`.
    """
    log_q, factor, sign = _terms(input, target, weight, gamma, alpha)
    q = log_q.exp()
    grad_input.copy_(sign * factor * (gamma * q * log_q - (1 - q)))


def _terms(input: Tensor, target: Tensor, weight: Tensor, gamma: float,
           alpha: float) -> Tuple[Tensor, Tensor, Tensor]:
    """Returns log q, the factor ``weight * a * (1 - q)^gamma`` and the sign of the logit in q."""
    logits = input.to(working_dtype(input, weight))
    is_target = target[:, None] == torch.arange(input.size(1), device=input.device)
    sign = is_target.to(logits.dtype) * 2 - 1
    log_q = F.logsigmoid(sign * logits)
    share = torch.full_like(logits, 1 - alpha).masked_fill(is_target, alpha)
    factor = share * torch.sigmoid(-sign * logits)**gamma
    if weight.numel():
        factor = factor * F.pad(weight, (0, 1), value=1.)[target, None]
    return log_q, factor, sign

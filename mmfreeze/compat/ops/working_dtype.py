"""The floating type in which an op computes."""
import torch
from torch import Tensor


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """Returns the widest type of the tensors, float32 at least.

    torchvision refuses float16, bfloat16 and mixed types in some ops on the CPU, and sums of many
    terms lose too much in them everywhere.
    """
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype

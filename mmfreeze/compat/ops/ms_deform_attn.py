"""Multi-scale deformable attention, on torch's grid sampling."""
import torch
import torch.nn.functional as F
from torch import Tensor

from .working_dtype import working_dtype


def ms_deform_attn_forward(value: Tensor, value_spatial_shapes: Tensor,
                           value_level_start_index: Tensor, sampling_locations: Tensor,
                           attention_weights: Tensor, im2col_step: int) -> Tensor:
    """Attention to a few sampled points (Zhu et al., "Deformable DETR", 2020, equation 3).

    Args:
        value: Values of B images at the S positions of all levels, M heads of D channels, in shape
            (B, S, M, D).
        value_spatial_shapes: int64 (height, width) of each level in shape (L, 2).
        value_level_start_index: int64 first position of each level in shape (L, ).
        sampling_locations: Points of each query, head and level in shape (B, Q, M, L, P, 2), as
            (x, y) with (0, 0) and (1, 1) at the outer corners of a level; 0 is sampled beyond.
        attention_weights: Weights of the points in shape (B, Q, M, L, P).
        im2col_step: Images per kernel launch of the compiled op; not used.

    Returns:
        Tensor of ``value``'s type in shape (B, Q, M * D).
    """
    dtype = working_dtype(value, sampling_locations, attention_weights)
    return _attend(
        value.to(dtype), value_spatial_shapes, value_level_start_index,
        sampling_locations.to(dtype), attention_weights.to(dtype)).to(value.dtype)


def ms_deform_attn_backward(value: Tensor, value_spatial_shapes: Tensor,
                            value_level_start_index: Tensor, sampling_locations: Tensor,
                            attention_weights: Tensor, grad_output: Tensor, grad_value: Tensor,
                            grad_sampling_loc: Tensor, grad_attn_weight: Tensor,
                            im2col_step: int) -> None:
    """Gradients of :func:`ms_deform_attn_forward`, which is computed once more for them.

    Args:
        grad_output: Gradient of the output in shape (B, Q, M * D).
        grad_value: Buffer in the shape of ``value``; receives its gradient.
        grad_sampling_loc: Buffer in the shape of ``sampling_locations``; receives its gradient.
        grad_attn_weight: Buffer in the shape of ``attention_weights``; receives its gradient.

    The other arguments are those of :func:`ms_deform_attn_forward`.
    """
    dtype = working_dtype(value, sampling_locations, attention_weights, grad_output)
    leaves = [tensor.detach().to(dtype).requires_grad_()
              for tensor in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = _attend(leaves[0], value_spatial_shapes, value_level_start_index, *leaves[1:])
    gradients = torch.autograd.grad(output, leaves, grad_output.to(dtype))
    for buffer, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients):
        buffer.copy_(gradient)


def _attend(value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor,
            weights: Tensor) -> Tensor:
    batch, _, heads, channels = value.shape
    output = value.new_zeros(batch * heads, channels, locations.size(1))
    for level, ((height, width), start) in enumerate(zip(shapes.tolist(), starts.tolist())):
        maps = value[:, start:start + height * width].permute(0, 2, 3, 1)  # (B, M, D, HW)
        maps = maps.reshape(batch * heads, channels, height, width)
        grid = 2 * locations[:, :, :, level].transpose(1, 2).flatten(0, 1) - 1  # (BM, Q, P, 2)
        samples = F.grid_sample(maps, grid, align_corners=False)  # (BM, D, Q, P)
        weight = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)  # (BM, Q, P)
        output = output + (samples * weight[:, None]).sum(-1)
    return output.view(batch, heads * channels, -1).transpose(1, 2).contiguous()

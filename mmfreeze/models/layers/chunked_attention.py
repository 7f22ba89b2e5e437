"""Attention with relative positions on a CPU that keeps no matrix of scores."""
from typing import Iterator, Tuple

import torch
from torch import Tensor
from torch.utils.flop_counter import bmm_flop, register_flop_formula, sdpa_flop_count

# Scores that are worked on at a time: few enough to stay in the cache from the product that makes
# them to the one that uses them up, enough for these products to run at full speed. A constant, for
# the sums of a resumed run must be those of the run that was interrupted.
CHUNK = 2**20


@torch.library.custom_op('mmfreeze::chunked_attention', mutates_args=(), device_types='cpu')
def chunked_attention(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Attends with relative positions, to all keys of some queries at a time.

    Their scores are computed once more in the backward pass, for which nothing is kept beside the
    arguments. Half-precision inputs are computed with in float32. An operator of its own, so that
    ``torch.compile`` takes it as it is and the FLOPs are those that are written down.

    Args:
        q (Tensor): Queries of shape (B, heads, H * W, C), not scaled.
        k (Tensor): Keys of the same shape.
        v (Tensor): Values of the same shape.
        rows (Tensor): Relative positions of rows, of shape (H, H, C).
        cols (Tensor): Relative positions of columns, of shape (W, W, C).

    Returns:
        Tensor: Shape (B, heads, H * W, C).
    """
    with torch.autocast('cpu', enabled=False):
        maps = _Maps(q, k, v, rows, cols)
        out = torch.empty_like(maps.q)
        for items, at in maps.chunks():
            torch.bmm(maps.probabilities(items, at), maps.v[items], out=out[items, at])
    return out.view(v.shape).to(v.dtype)


@torch.library.custom_op('mmfreeze::chunked_attention_backward', mutates_args=(),
                         device_types='cpu')
def _chunked_attention_backward(
        grad: Tensor, q: Tensor, k: Tensor, v: Tensor, rows: Tensor,
        cols: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    with torch.autocast('cpu', enabled=False):
        maps = _Maps(q, k, v, rows, cols)
        grad = grad.to(maps.q.dtype).reshape(maps.q.shape).contiguous()
        grad_q, by_row, by_col = (torch.empty_like(t, memory_format=torch.contiguous_format)
                                  for t in (maps.q, maps.by_row, maps.by_col))
        # Sums over chunks of shape (items, C, N): faster than products of shape (items, N, C).
        grad_k, grad_v = torch.zeros(2, *maps.q.mT.shape, dtype=maps.q.dtype)
        buffer = torch.empty_like(maps.buffer)
        for items, at in maps.chunks():
            probs, outer = maps.probabilities(items, at), grad[items, at]
            grad_v[items].baddbmm_(outer.mT, probs)
            grad_probs = buffer[:probs.numel()].view(probs.shape)
            torch.bmm(outer, maps.v[items].mT, out=grad_probs)
            # The way of autograd: in one walk over the scores, whose place is free by now.
            scores = torch._softmax_backward_data(
                grad_probs, probs, -1, probs.dtype, grad_input=maps.scores(items, at))
            torch.bmm(scores, maps.k[items], out=grad_q[items, at])
            grad_k[items].baddbmm_(maps.q[items, at].mT, scores, alpha=maps.scale)
            torch.sum(maps.on_map(scores), -1, out=by_row[items, at])
            torch.sum(maps.on_map(scores), -2, out=by_col[items, at])
        grads = maps.through_terms(grad_q.mul_(maps.scale), by_row, by_col)
    # Copies in any case, for the two share their memory, and outputs of an operator must not.
    grad_k, grad_v = (grad.mT.clone(memory_format=torch.contiguous_format)
                      for grad in (grad_k, grad_v))
    grads = (grads[0], grad_k, grad_v, *grads[1:])
    return tuple(tensor.view(like.shape).to(like.dtype)
                 for tensor, like in zip(grads, (q, k, v, rows, cols)))


class _Maps:
    """Maps that are attended to, and memory for the scores of some of their queries.

    ``q``, ``k`` and ``v`` are there as contiguous (items, H * W, C) in the precision to compute in,
    an item being a head of an image; ``by_row`` (items, H * W, H) and ``by_col`` (items, H * W, W)
    are what the bias of a query is for keys of a row and of a column.
    """

    def __init__(self, q: Tensor, k: Tensor, v: Tensor, rows: Tensor, cols: Tensor) -> None:
        precise = torch.promote_types(q.dtype, torch.float32)
        self.q, self.k, self.v = (
            tensor.to(precise).reshape(-1, *q.shape[2:]).contiguous() for tensor in (q, k, v))
        self.rows, self.cols = rows.to(precise), cols.to(precise)
        self.H, self.W, self.scale = len(rows), len(cols), q.shape[-1]**-.5
        queries = self.q.unflatten(1, (self.H, self.W))
        self.by_row = torch.einsum('bhwc,hkc->bhwk', queries, self.rows).flatten(1, 2)
        self.by_col = torch.einsum('bhwc,wkc->bhwk', queries, self.cols).flatten(1, 2)
        # Whole items, or else some queries of one.
        self.num_items, self.tokens = self.q.shape[:2]
        self.group = max(1, min(self.num_items, CHUNK // self.tokens**2))
        self.queries = min(self.tokens, max(1, CHUNK // self.tokens))
        size = self.group * self.queries * self.tokens
        self.buffer, self._scores = self.q.new_empty(size), self.q.new_empty(size)

    def chunks(self) -> Iterator[Tuple[slice, slice]]:
        """Yields which items and which of their queries belong together, in a fixed order."""
        for item in range(0, self.num_items, self.group):
            for query in range(0, self.tokens, self.queries):
                yield (slice(item, min(item + self.group, self.num_items)),
                       slice(query, min(query + self.queries, self.tokens)))

    def scores(self, items: slice, at: slice) -> Tensor:
        """The memory for the scores of a chunk, of shape (items, queries, H * W)."""
        shape = (items.stop - items.start, at.stop - at.start, self.tokens)
        return self._scores[:shape[0] * shape[1] * shape[2]].view(shape)

    def on_map(self, scores: Tensor) -> Tensor:
        """Scores as (items, queries, H, W)."""
        return scores.unflatten(2, (self.H, self.W))

    def probabilities(self, items: slice, at: slice) -> Tensor:
        """Softmax over the scores of a chunk; each call writes over those of the last one."""
        scores = self.scores(items, at)
        # (items, queries, H, 1) + (items, queries, 1, W)
        torch.add(self.by_row[items, at][..., None], self.by_col[items, at][..., None, :],
                  out=self.on_map(scores))
        scores.baddbmm_(self.q[items, at], self.k[items].mT, alpha=self.scale)
        return torch.softmax(scores, -1, out=self.buffer[:scores.numel()].view(scores.shape))

    def through_terms(self, grad_q: Tensor, by_row: Tensor,
                      by_col: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Gradients of queries (added to what they have) and tables, from those of the terms."""
        q, grad_q, by_row, by_col = (
            tensor.unflatten(1, (self.H, self.W)) for tensor in (self.q, grad_q, by_row, by_col))
        grad_q += torch.einsum('bhwk,hkc->bhwc', by_row, self.rows)
        grad_q += torch.einsum('bhwk,wkc->bhwc', by_col, self.cols)
        return (grad_q, torch.einsum('bhwk,bhwc->hkc', by_row, q),
                torch.einsum('bhwk,bhwc->wkc', by_col, q))


@chunked_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    return v.new_empty(v.shape)


@_chunked_attention_backward.register_fake
def _(grad: Tensor, *inputs: Tensor) -> Tuple[Tensor, ...]:
    return tuple(tensor.new_empty(tensor.shape) for tensor in inputs)


def _keep_inputs(ctx, inputs: Tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad: Tensor) -> Tuple[Tensor, ...]:
    return _chunked_attention_backward(grad, *ctx.saved_tensors)


chunked_attention.register_autograd(_backward, setup_context=_keep_inputs)


@register_flop_formula(torch.ops.mmfreeze.chunked_attention)
def _forward_flops(q: torch.Size, k: torch.Size, v: torch.Size, rows: torch.Size,
                   cols: torch.Size, **kwargs) -> int:
    B, heads, _, C = q
    H, W = rows[0], cols[0]
    return (sdpa_flop_count(q, k, v) + bmm_flop((H, B * heads * W, C), (H, C, H))
            + bmm_flop((W, B * heads * H, C), (W, C, W)))


@register_flop_formula(torch.ops.mmfreeze.chunked_attention_backward)
def _backward_flops(grad: torch.Size, *inputs: torch.Size, **kwargs) -> int:
    return 2 * _forward_flops(*inputs)  # without the scores, which are computed once more

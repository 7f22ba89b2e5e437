"""The kernels of attention with relative positions: the same numbers, nothing large kept."""
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp

from mmfreeze.freezing.cost import count_flops
from mmfreeze.models.layers import Attention, choose_kernel
from mmfreeze.models.layers import chunked_attention as chunked
from mmfreeze.models.layers.attention_kernels import KERNELS

# Batch, heads, rows, columns, channels of a head, and scores in a chunk: all items at once, two
# items of three at once, and queries of one item, with and without a rest.
CASES = [(2, 2, 3, 3, 4, 10**6), (1, 3, 4, 3, 5, 300), (1, 2, 5, 7, 8, 5 * 35),
         (2, 1, 6, 4, 3, 7 * 24), (1, 1, 1, 9, 2, 1)]


def arguments(B, heads, H, W, channels, dtype=torch.float64, device='cpu'):
    """Queries, keys, values and the relative positions of rows and of columns."""
    shapes = [(B, heads, H * W, channels)] * 3 + [(H, H, channels), (W, W, channels)]
    return [torch.randn(shape, dtype=dtype, device=device, requires_grad=True)
            for shape in shapes]


def written_down(q, k, v, rows, cols):
    """Attention as its formula stands in the paper, key by key."""
    H, W = len(rows), len(cols)
    # The position of key (i, j) to every query: (H, 1, C) + (1, W, C)
    bias = [(q.unflatten(2, (H, W)) * (rows[:, i, None] + cols[None, :, j])).sum(-1).flatten(2)
            for i in range(H) for j in range(W)]
    return (q @ k.mT / q.shape[-1]**.5 + torch.stack(bias, dim=-1)).softmax(-1) @ v


def with_gradients(kernel, inputs):
    out = kernel(*inputs)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return [out.detach(), *torch.autograd.grad((out * weight).sum(), inputs)]


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('case', [*CASES, (0, 2, 3, 3, 4, 10**6), (2, 1, 1, 1, 4, 1)], ids=str)
def test_every_kernel_is_the_formula(monkeypatch, kernel, case):
    monkeypatch.setattr(chunked, 'CHUNK', case[-1])
    inputs = arguments(*case[:-1])
    for ours, theirs in zip(with_gradients(KERNELS[kernel], inputs),
                            with_gradients(written_down, inputs)):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('H, W, channels', [(4, 3, 8), (5, 6, 20), (3, 2, 3), (4, 4, 8)])
def test_folded_heads_are_as_wide_as_fused_kernels_take_them(monkeypatch, H, W, channels, dtype):
    widths, attend = [], F.scaled_dot_product_attention

    def watch(*inputs, **kwargs):
        widths.append({tensor.shape[-1] for tensor in inputs})
        return attend(*inputs, **kwargs)

    inputs = arguments(2, 2, H, W, channels, dtype=dtype)
    expected = with_gradients(KERNELS['bias'], inputs)
    monkeypatch.setattr(F, 'scaled_dot_product_attention', watch)
    for ours, theirs in zip(with_gradients(KERNELS['folded'], inputs), expected):
        torch.testing.assert_close(ours, theirs)
    (width, ), = widths
    assert width % 8 == 0 and 0 <= width - channels - H - W < 8


@pytest.mark.parametrize('case', CASES[1:], ids=str)
def test_chunks_cover_every_query_once(monkeypatch, case):
    B, heads, H, W = case[:4]
    monkeypatch.setattr(chunked, 'CHUNK', case[-1])
    seen = torch.zeros(B * heads, H * W)
    for items, at in chunked._Maps(*arguments(*case[:-1])).chunks():
        seen[items, at] += 1
    assert torch.equal(seen, torch.ones_like(seen))


def test_gradients_of_the_chunked_kernel_by_differences(monkeypatch):
    monkeypatch.setattr(chunked, 'CHUNK', 50)
    assert torch.autograd.gradcheck(KERNELS['chunked'], arguments(1, 2, 3, 4, 3))


def test_operators_are_what_torch_expects(monkeypatch):
    """Fake tensors, autograd registration, compiled with fixed and changing sizes."""
    monkeypatch.setattr(chunked, 'CHUNK', 50)
    inputs = arguments(1, 2, 3, 4, 3)
    found = torch.library.opcheck(chunked.chunked_attention, inputs)
    assert set(found.values()) == {'SUCCESS'}
    inputs = [tensor.detach() for tensor in (inputs[0], *inputs)]
    found = torch.library.opcheck(chunked._chunked_attention_backward, inputs,
                                  test_utils=('test_schema', 'test_faketensor'))
    assert set(found.values()) == {'SUCCESS'}


def test_the_same_bits_every_time(monkeypatch):
    monkeypatch.setattr(chunked, 'CHUNK', 2**12)
    inputs = arguments(2, 2, 9, 11, 8, dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, *others = [with_gradients(KERNELS['chunked'], inputs) for _ in range(4)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_rounds_nothing_in_between(dtype):
    """Under autocast too: the result is that of float32, rounded once."""
    inputs = [t.detach().to(dtype).requires_grad_() for t in arguments(1, 2, 5, 6, 8)]
    single = [t.detach().float().requires_grad_() for t in inputs]
    with torch.autocast('cpu', dtype=dtype):
        out = KERNELS['chunked'](*inputs)
        assert out.dtype == dtype
        grads = torch.autograd.grad(out.float().sum(), inputs)
    expected = KERNELS['chunked'](*single)
    assert torch.equal(out, expected.to(dtype))
    for grad, theirs in zip(grads, torch.autograd.grad(expected.sum(), single)):
        assert grad.dtype == dtype and torch.equal(grad, theirs.to(dtype))


def saved_bytes(attention, size, dtype=None):
    """Bytes of all that is kept for the backward pass, each storage once; parameters apart."""
    sizes, own = {}, {p.untyped_storage().data_ptr() for p in attention.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = torch.randn(1, size, size, attention.proj.in_features, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), \
            torch.autocast('cpu', dtype) if dtype else nullcontext():
        out = attention(x)
    del out
    return sum(sizes.values())


@pytest.fixture
def chunked_everywhere(monkeypatch):
    """Small maps through the chunked kernel, in several chunks."""
    monkeypatch.setattr(chunked, 'CHUNK', 2**10)
    monkeypatch.setattr('mmfreeze.models.layers.attention_kernels.CHUNKED_FROM', 1)


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_what_is_kept_grows_with_the_tokens_not_with_their_square(chunked_everywhere, monkeypatch,
                                                                 dtype):
    attention = Attention(32, 4, table_size=32)
    small, large = (saved_bytes(attention, size, dtype) for size in (16, 32))
    # Four times the tokens, and four times their positions to each other along an axis.
    assert large < 4.5 * small
    monkeypatch.setattr('mmfreeze.models.layers.attention_kernels.CHUNKED_FROM', 10**9)
    assert saved_bytes(attention, 32, dtype) - large > .8 * 4 * 1024**2 * 2


def test_nothing_is_kept_without_gradients(chunked_everywhere):
    attention = Attention(16, 2, table_size=6).requires_grad_(False)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        assert not attention(torch.randn(1, 6, 6, 16)).requires_grad
        with torch.no_grad():
            attention(torch.randn(1, 6, 6, 16, requires_grad=True))
    assert not saved


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_checkpointed_gradients_are_the_same_bits(chunked_everywhere, dtype):
    attention = Attention(16, 2, table_size=6)
    torch.nn.init.normal_(attention.rel_pos_h)
    x = torch.randn(2, 6, 6, 16, requires_grad=True)
    inputs = [x, *attention.parameters()]
    with torch.autocast('cpu', dtype) if dtype else nullcontext():
        plain = attention(x).float().sum()
        checkpointed = cp.checkpoint(attention, x, use_reentrant=False).float().sum()
    for ours, theirs in zip(torch.autograd.grad(checkpointed, inputs),
                            torch.autograd.grad(plain, inputs)):
        assert torch.equal(ours, theirs)


def test_compiled_in_one_graph(chunked_everywhere):
    torch.compiler.reset()
    attention = Attention(16, 2, table_size=6)
    torch.nn.init.normal_(attention.rel_pos_h)
    compiled = torch.compile(attention, backend='aot_eager', fullgraph=True, dynamic=False)
    x = torch.randn(2, 6, 6, 16, requires_grad=True)
    inputs = [x, *attention.parameters()]
    for ours, theirs in zip(torch.autograd.grad(compiled(x).square().sum(), inputs),
                            torch.autograd.grad(attention(x).square().sum(), inputs)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


def test_flops_are_the_same_with_every_kernel():
    """Two products forward, four backward, however often a kernel computes the scores."""
    product, terms = 2 * (2 * 3) * 20**2 * 8, 2 * (2 * 3) * 20 * (4 + 5) * 8
    counted = {}
    for name, kernel in KERNELS.items():
        inputs = arguments(2, 3, 4, 5, 8, dtype=torch.float32)
        with count_flops() as counter:
            out = kernel(*inputs)
            forward = counter.get_total_flops()
            torch.autograd.grad(out.sum(), inputs, retain_graph=True)
            once = counter.get_total_flops()
            torch.autograd.grad(out.sum(), inputs)
        counted[name] = (forward, once - forward, counter.get_total_flops() - once)
    assert counted == dict.fromkeys(
        KERNELS, (2 * product + terms, *[4 * product + 2 * terms] * 2))


def test_chunked_kernel_on_the_meta_device():
    inputs = arguments(1, 2, 64, 64, 8, dtype=torch.float32, device='meta')
    out = KERNELS['chunked'](*inputs)
    assert out.shape == inputs[0].shape and out.device.type == 'meta'
    assert [grad.shape for grad in torch.autograd.grad(out.sum(), inputs)] == [
        tensor.shape for tensor in inputs]


@pytest.mark.parametrize('device, tokens, expected', [
    ('cpu', 10 * 10, 'bias'), ('cpu', 13 * 14, 'bias'), ('cpu', 14 * 14, 'chunked'),
    ('cpu', 64 * 64, 'chunked'), ('meta', 64 * 64, 'bias'), ('cuda', 14 * 14, 'folded'),
    ('cuda', 64 * 64, 'folded'),
])
def test_the_rule(device, tokens, expected):
    assert choose_kernel(device, tokens) == expected


def test_attention_does_what_the_rule_says(monkeypatch):
    asked, attention = [], Attention(16, 2, table_size=4)

    def rule(*args):
        asked.append(args)
        return 'chunked'

    monkeypatch.setattr('mmfreeze.models.layers.attention.choose_kernel', rule)
    with torch.profiler.profile() as profile:
        attention(torch.randn(3, 4, 5, 16))
    assert asked == [('cpu', 20)]
    assert any(event.key == 'mmfreeze::chunked_attention' for event in profile.key_averages())


def test_the_table_of_distances_is_no_part_of_the_state():
    attention = Attention(16, 2, table_size=4)
    assert 'distances' not in attention.state_dict()
    assert attention.distances.tolist() == [[3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]]

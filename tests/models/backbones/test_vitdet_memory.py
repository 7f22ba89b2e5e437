"""What blocks keep for the backward pass: frozen, checkpointed, compiled; how many graphs it takes.

Blocks are compiled with backends that generate no code: inductor's C++ takes minutes on a CPU.
"""
import copy
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import nn

from mmfreeze.freezing import LayerStack
from mmfreeze.models.backbones import ViTDetBackbone

SIZES = dict(img_size=96, embed_dim=32, depth=3, num_heads=2, window_size=4,
             global_attn_indexes=(1,), drop_path_rate=.3)


@pytest.fixture
def compile_with(monkeypatch):
    """Returns a function that chooses the backend for blocks that are compiled from then on."""
    limit = torch._dynamo.config.recompile_limit
    torch.compiler.reset()
    yield lambda backend: monkeypatch.setattr(
        torch, 'compile', partial(torch.compile, backend=backend))
    torch.compiler.reset()
    torch._dynamo.config.recompile_limit = limit


def build(**kwargs) -> ViTDetBackbone:
    """A backbone in training in which no table is zero; the same weights each time."""
    torch.manual_seed(0)
    backbone = ViTDetBackbone(**{**SIZES, **kwargs}).train()
    for param in backbone.parameters():
        nn.init.normal_(param, std=.1)
    return backbone


def freeze_by_hand(backbone: ViTDetBackbone, n: int) -> None:
    """What freezing comes down to, in plain torch."""
    if n:
        backbone.pos_embed.requires_grad_(False)
        backbone.patch_embed.requires_grad_(False).eval()
    for block in backbone.blocks[:n]:
        block.requires_grad_(False).eval()


def train_step(backbone: ViTDetBackbone, image: torch.Tensor, dtype=None) -> None:
    torch.manual_seed(1)  # for stochastic depth
    backbone.zero_grad()
    with torch.autocast('cpu', dtype=dtype) if dtype else nullcontext():
        output, = backbone(image)
    (output.float() * torch.linspace(-1, 1, output.shape[-1])).sum().backward()


@pytest.mark.parametrize('options, dtype', [
    (dict(with_cp=True), None),
    (dict(with_cp=True), torch.bfloat16),
    (dict(compile_blocks=True, depth=2), None),
    (dict(compile_blocks=True, with_cp=True, depth=2), torch.bfloat16),
], ids=['checkpoint', 'checkpoint-bfloat16', 'compile', 'compile-checkpoint-bfloat16'])
def test_gradients_are_those_of_a_plain_backbone_frozen_by_hand(compile_with, options, dtype):
    compile_with('aot_eager')
    backbone = build(**options)
    depth = len(backbone.blocks)
    image = torch.randn(4, 3, 96, 96)
    stack = LayerStack.build(backbone)
    for n in range(depth):
        stack.freeze(n)
        reference = build(depth=depth)
        freeze_by_hand(reference, n)
        train_step(backbone, image, dtype)
        train_step(reference, image, dtype)
        theirs = dict(reference.named_parameters())
        for name, param in backbone.named_parameters():
            assert param.requires_grad == theirs[name].requires_grad
            if not param.requires_grad:
                assert param.grad is None
            elif 'compile_blocks' not in options:
                assert torch.equal(param.grad, theirs[name].grad), (n, name)
            else:
                bound = 1e-5 if dtype is None else .1  # bfloat16 rounds to 3 digits
                error = (param.grad - theirs[name].grad).norm()
                assert error <= bound * theirs[name].grad.norm(), (n, name)


def saved_for_backward(backbone: ViTDetBackbone, dtype=None) -> list:
    """For each block the tensors that autograd keeps until the next one is entered."""
    saved, at = [[] for _ in backbone.blocks], [0]
    hooks = [block.register_forward_pre_hook(
        # Not compiled with the block, since it is no part of it.
        torch.compiler.disable(lambda *_, i=i: at.__setitem__(0, i)))
        for i, block in enumerate(backbone.blocks)]
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: saved[at[0]].append(t) or t, lambda t: t), \
            torch.autocast('cpu', dtype=torch.bfloat16, enabled=dtype is not None):
        backbone(torch.randn(2, 3, 96, 96))
    for hook in hooks:
        hook.remove()
    return saved


@pytest.mark.parametrize('options, dtype', [
    ({}, None), ({}, torch.bfloat16), (dict(compile_blocks=True, depth=2), None),
], ids=['plain', 'bfloat16', 'compile'])
def test_frozen_blocks_save_nothing(compile_with, options, dtype):
    compile_with('aot_eager')
    backbone = build(**options)
    stack = LayerStack.build(backbone)
    for n in range(len(stack)):
        stack.freeze(n)
        saved = saved_for_backward(backbone, dtype)
        assert [bool(tensors) for tensors in saved] == [i >= n for i in range(len(stack))]


def test_of_a_checkpointed_block_only_the_input_stays():
    backbone = build(with_cp=True)
    stack = LayerStack.build(backbone)
    for n in (1, 2):
        stack.freeze(n)
        # torch saves an empty tensor beside it.
        saved = [t.shape for tensors in saved_for_backward(backbone) for t in tensors if t.numel()]
        assert saved == [(2, 6, 6, 32)] * (3 - n)


def test_only_blocks_that_train_are_checkpointed_and_computed_again(monkeypatch):
    checkpoint, checkpointed = torch.utils.checkpoint.checkpoint, []

    def spy(block, *args, **kwargs):
        checkpointed.append(block)
        return checkpoint(block, *args, **kwargs)

    monkeypatch.setattr(torch.utils.checkpoint, 'checkpoint', spy)
    backbone = build(with_cp=True)
    stack = LayerStack.build(backbone)
    calls = [0] * 3
    for i, block in enumerate(backbone.blocks):
        block.norm1.register_forward_pre_hook(
            lambda *_, i=i: calls.__setitem__(i, calls[i] + 1))
    for n, expected in ((0, [2, 2, 2]), (1, [1, 2, 2]), (2, [1, 1, 2])):
        stack.freeze(n)
        calls[:] = [0] * 3
        checkpointed.clear()
        train_step(backbone, torch.randn(1, 3, 96, 96))
        assert calls == expected
        assert checkpointed == list(backbone.blocks[n:])
    checkpointed.clear()
    with torch.no_grad():
        backbone.eval()(torch.randn(1, 3, 96, 96))
    assert not checkpointed


@pytest.mark.parametrize('chunked_from', [10**9, 1])
def test_twelve_freezes_cost_three_graphs_of_each_kind_of_block(compile_with, monkeypatch,
                                                                chunked_from):
    monkeypatch.setattr('mmfreeze.models.layers.attention_kernels.CHUNKED_FROM', chunked_from)
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compile_with(count)
    backbone = build(depth=12, global_attn_indexes=(2, 5, 8, 11), compile_blocks=True)
    stack = LayerStack.build(backbone)
    image = torch.randn(2, 3, 96, 96)
    for n in range(13):
        backbone.train()  # as loops do
        stack.freeze(n)
        if n < 12:
            train_step(backbone, image)
        else:
            backbone(image)
    # With and without windows: behind another one, the first that trains, frozen. Stochastic depth
    # has a rate of its own for each block, and exempts the first.
    assert len(graphs) == 3 * 2 + 1

    with torch.no_grad():
        backbone.eval()(image[:1])
        fresh = build(depth=12, global_attn_indexes=(2, 5, 8, 11), compile_blocks=True)
        fresh.eval()(image[:1])
    assert len(graphs) == 7 + 2 * 2  # validation, with frozen blocks and with others


def test_a_compiled_backbone_keeps_its_names_and_can_be_copied(compile_with):
    compile_with('eager')
    backbone = build(compile_blocks=True)
    assert list(backbone.state_dict()) == list(build().state_dict())
    assert LayerStack.build(backbone).names == LayerStack.build(build()).names
    image = torch.randn(1, 3, 96, 96)
    twin = copy.deepcopy(backbone)  # as EMA does
    torch.testing.assert_close(twin.eval()(image), backbone.eval()(image))


@pytest.mark.cuda
@pytest.mark.parametrize('with_cp', [False, True])
def test_peak_memory_falls_with_each_freeze(with_cp):
    """The activations of the 12 blocks are alike: what is left is the share that still trains."""
    backbone = build(img_size=512, embed_dim=128, depth=12, window_size=8,
                     global_attn_indexes=(), with_cp=with_cp).cuda()
    image = torch.randn(4, 3, 512, 512, device='cuda')
    stack = LayerStack.build(backbone)
    peaks = []
    for n in (0, 3, 6, 9):
        stack.freeze(n)
        for _ in range(2):
            backbone.zero_grad()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            backbone(image)[0].sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks == sorted(peaks, reverse=True)
    if not with_cp:
        assert peaks[2] < .65 * peaks[0]
        assert peaks[3] < .4 * peaks[0]

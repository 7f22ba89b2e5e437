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


@pytest.mark.parametrize('dtype', [None, torch.bfloat16], ids=['float32', 'bfloat16'])
@pytest.mark.parametrize('option', ['with_cp', 'compile_blocks', 'both'])
def test_gradients_are_those_of_a_plain_backbone_frozen_by_hand(compile_with, option, dtype):
    compile_with('aot_eager')
    backbone = build(with_cp=option != 'compile_blocks', compile_blocks=option != 'with_cp')
    image = torch.randn(2, 3, 96, 96)
    stack = LayerStack.build(backbone)
    for n in range(3):
        stack.freeze(n)
        reference = build()
        freeze_by_hand(reference, n)
        train_step(backbone, image, dtype)
        train_step(reference, image, dtype)
        theirs = dict(reference.named_parameters())
        for name, param in backbone.named_parameters():
            assert param.requires_grad == theirs[name].requires_grad
            if not param.requires_grad:
                assert param.grad is None
            elif option == 'with_cp':
                assert torch.equal(param.grad, theirs[name].grad), (n, name)
            else:
                bound = 1e-5 if dtype is None else .1  # bfloat16 rounds to 3 digits
                error = (param.grad - theirs[name].grad).norm() / theirs[name].grad.norm()
                assert error < bound, (n, name)


@pytest.mark.parametrize('dtype', [None, torch.bfloat16], ids=['float32', 'bfloat16'])
@pytest.mark.parametrize('option', [{}, dict(with_cp=True), dict(compile_blocks=True)],
                         ids=lambda option: ''.join(option) or 'plain')
def test_frozen_blocks_save_nothing(compile_with, option, dtype):
    """What autograd saves between entering and leaving each block."""
    compile_with('aot_eager')
    backbone = build(**option)
    stack = LayerStack.build(backbone)
    saved, at = [], []
    backbone.patch_embed.register_forward_pre_hook(lambda *_: at.append(0))
    for block in backbone.blocks[1:]:
        # Entered from outside of the block, whose own hooks would be compiled with it.
        block.register_forward_pre_hook(torch.compiler.disable(lambda *_: at.append(1)))
    inner = backbone.forward
    for n in range(3):
        stack.freeze(n)
        saved[:] = [0] * 4
        at[:] = []
        with torch.autograd.graph.saved_tensors_hooks(
                lambda t: saved.__setitem__(sum(at), saved[sum(at)] + 1) or t, lambda t: t), \
                torch.autocast('cpu', dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            inner(torch.randn(2, 3, 96, 96))
        assert saved[:n] == [0] * n
        if not option.get('with_cp'):
            assert all(saved[n:3])
        elif n:
            # Of checkpointed blocks only their input stays, which these hooks do not see.
            assert not any(saved)


def test_only_blocks_that_train_are_computed_again():
    backbone = build(with_cp=True)
    stack = LayerStack.build(backbone)
    calls = [0] * 3
    for i, block in enumerate(backbone.blocks):
        block.norm1.register_forward_pre_hook(
            lambda *_, i=i: calls.__setitem__(i, calls[i] + 1))
    for n, expected in ((0, [2, 2, 2]), (1, [1, 2, 2]), (2, [1, 1, 2])):
        stack.freeze(n)
        calls[:] = [0] * 3
        train_step(backbone, torch.randn(1, 3, 96, 96))
        assert calls == expected
    calls[:] = [0] * 3
    with torch.no_grad():
        backbone.eval()(torch.randn(1, 3, 96, 96))
    assert calls == [1] * 3


def test_twelve_freezes_cost_three_graphs_of_each_kind_of_block(compile_with):
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

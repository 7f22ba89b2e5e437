"""What a frozen prefix is, on small models without any detection."""
import copy

import pytest
import torch
from torch import nn

from mmfreeze.freezing import LayerStack


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(.5)

    def forward(self, x):
        return x + self.drop(self.bn(self.conv(x)).relu())


class Backbone(nn.Module):
    def __init__(self, depth=4, width=8):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.offset = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def ordered_layers(self):
        return [('stem', 'offset', 'blocks.0')] + [
            (f'blocks.{i}',) for i in range(1, len(self.blocks))]

    def forward(self, x):
        x = self.stem(x) + self.offset
        for block in self.blocks:
            x = block(x)
        return x


class Model(nn.Module):
    def __init__(self, depth=4):
        super().__init__()
        self.backbone = Backbone(depth)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.backbone(x).mean((2, 3)))


def train(model, optimizer, steps, before=lambda: None, accumulate=2):
    for step in range(steps * accumulate):
        model.train()
        before()
        (model(torch.randn(4, 3, 8, 8)).square().mean() / accumulate).backward()
        if (step + 1) % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()


def saved_for_backward(model):
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(t.numel()) or t, lambda t: t):
        model(torch.randn(4, 3, 8, 8))
    return sum(sizes)


def test_prefix_is_bit_identical_through_adamw_with_decay_and_accumulation():
    model = Model()
    stack = LayerStack.build(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=.01, weight_decay=.1)
    train(model, optimizer, 3)
    assert stack.freeze(2, optimizer)
    before = copy.deepcopy(model.state_dict())
    prefix = tuple(f'backbone.{name}' for name in ('stem', 'offset', 'blocks.0', 'blocks.1'))
    seen = []

    def reassert():
        assert not stack.freeze(2, optimizer)
        seen.append([m.training for i in range(2) for m in model.backbone.blocks[i].modules()])

    train(model, optimizer, 20, before=reassert)
    assert not any(sum(seen, []))
    moved = set()
    for name, value in model.state_dict().items():
        if name.startswith(prefix):
            assert torch.equal(value, before[name]), name
        elif not torch.equal(value, before[name]):
            moved.add(name)
    assert {'backbone.blocks.2.conv.weight', 'backbone.blocks.3.bn.running_mean',
            'head.weight'} <= moved
    for name, param in model.named_parameters():
        frozen = name.startswith(prefix)
        assert param.requires_grad != frozen
        assert (param in optimizer.state) != frozen
        if frozen:
            assert param.grad is None


def test_optimizer_with_frozen_layers_saves_and_resumes():
    model = Model()
    stack = LayerStack.build(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=.01)
    train(model, optimizer, 2)
    stack.freeze(2, optimizer)
    train(model, optimizer, 2, before=lambda: stack.freeze(2))
    # A fresh process: everything trainable when the optimizer is built, frozen afterwards.
    twin = Model()
    other = torch.optim.AdamW(twin.parameters(), lr=.01)
    twin.load_state_dict(model.state_dict())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    twin_stack = LayerStack.build(twin)
    twin_stack.freeze(2, other)
    for one, opt, layers in ((model, optimizer, stack), (twin, other, twin_stack)):
        torch.manual_seed(3)
        train(one, opt, 2, before=lambda: layers.freeze(2))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters()))


def test_freezing_takes_the_gradients_of_the_prefix_alone():
    """A gradient that stayed would go on to move parameters, and take memory."""
    model = Model()
    stack = LayerStack.build(model)
    model(torch.randn(4, 3, 8, 8)).square().mean().backward()
    stack.freeze(2)
    assert [[param.grad is None for param in params] for params in stack.params] == [
        [layer < 2] * len(params) for layer, params in enumerate(stack.params)]


def test_a_zero_gradient_left_behind_would_move_the_prefix():
    """Why ``grad = None``: the same run with zero gradients changes the weights."""
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=.01, weight_decay=.1)
    train(model, optimizer, 2)
    before = model.backbone.stem.weight.detach().clone()
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    optimizer.step()
    assert not torch.equal(before, model.backbone.stem.weight)


def test_fewer_tensors_are_saved_for_backward():
    model = Model().train()
    stack = LayerStack.build(model)
    sizes = [saved_for_backward(model)]
    for n in range(1, 5):
        stack.freeze(n)
        sizes.append(saved_for_backward(model))
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 5
    features = model.backbone(torch.randn(1, 3, 8, 8))
    assert not features.requires_grad


def test_layers_are_never_thawed():
    stack = LayerStack.build(Model())
    stack.freeze(2)
    with pytest.raises(ValueError, match='never thawed'):
        stack.freeze(1)
    with pytest.raises(ValueError, match='5 of 4'):
        stack.freeze(5)


def test_patterns_give_layers_in_numerical_order():
    stack = LayerStack.build(Model(depth=12), ['backbone.stem', 'backbone.offset',
                                               'backbone.blocks.*'])
    assert stack.names == LayerStack.build(Model(depth=12)).names
    assert stack.names[10] == ('backbone.blocks.10',)


def test_what_the_model_froze_joins_the_next_layer():
    model = Model()
    model.backbone.stem.requires_grad_(False)
    model.backbone.offset.requires_grad_(False)
    model.backbone.blocks[0].requires_grad_(False)
    stack = LayerStack.build(model)
    assert len(stack) == 3
    assert stack.names[0] == ('backbone.stem', 'backbone.offset', 'backbone.blocks.0',
                              'backbone.blocks.1')
    assert stack.frozen_by_model == ['backbone.stem', 'backbone.offset', 'backbone.blocks.0']
    assert 'frozen by the model itself' in stack.describe()
    stack.freeze(0)
    assert not model.backbone.stem.weight.requires_grad
    stack.freeze(1)
    assert not model.backbone.blocks[0].training


def test_a_forgotten_stem_is_named():
    stack = LayerStack.build(Model(), ['backbone.blocks.*'])
    assert sorted(stack.left_out) == [
        'backbone.offset', 'backbone.stem.bias', 'backbone.stem.weight']
    assert 'in no layer, never frozen' in stack.describe()
    assert LayerStack.build(Model()).left_out == []


@pytest.mark.parametrize('patterns, message', [
    (['backbone.layer*'], r"'backbone.layer\*'.*matches no submodule.*blocks"),
    (['backbone.blocks.*', 'head'], "no layer follows 'head'"),
    (['backbone.blocks.*', 'backbone.blocks.*'], 'share a parameter'),
    ('backbone.blocks.*', 'must be a list'),
    ([], 'no trainable parameter'),
])
def test_wrong_patterns_are_named(patterns, message):
    with pytest.raises(ValueError, match=message):
        LayerStack.build(Model(), patterns)


def test_unknown_order_is_refused():
    with pytest.raises(ValueError, match='not known.*none of its submodules.*ordered_layers'):
        LayerStack.build(nn.Sequential(nn.Linear(2, 2)))
    both = nn.ModuleDict(dict(a=Backbone(), b=Backbone()))
    with pytest.raises(ValueError, match='not known.*a, b'):
        LayerStack.build(both)


def test_a_parameter_shared_with_the_head_is_refused():
    model = Model()
    model.tied = model.backbone.blocks[1].conv
    with pytest.raises(ValueError, match='tied.weight is also a parameter of layer 1'):
        LayerStack.build(model)

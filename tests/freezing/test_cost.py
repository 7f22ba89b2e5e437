"""FLOPs of layers against arithmetic by hand, published shares and passes with frozen layers."""
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmfreeze.freezing import LayerStack
from mmfreeze.freezing.cost import LayerCosts, count_flops, forward_flops, layer_costs
from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.layers.attention_kernels import folded_attention

MODELS_OF_CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models'


class Pair(nn.ModuleList):
    """A container whose children are called, never it itself."""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(1))
        self.pair = Pair([nn.Conv2d(4, 8, 1), nn.Sequential(nn.Conv2d(8, 8, 3, padding=1))])
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        x = self.pair[0](self.stem(x) * self.scale)
        x = self.pair[1](self.pair[1](x))  # twice
        return self.last(x.mean((2, 3)))


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_layers_of_convolutions(device):
    net = Net().to(device)
    stack = LayerStack(net, [('stem', 'scale'), ('pair',)])
    flops = forward_flops(stack, net, lambda: net(torch.zeros(2, 3, 10, 6, device=device)))
    positions = 2 * 10 * 6
    assert flops == [2 * positions * 27 * 4, 2 * positions * (4 * 8 + 2 * 72 * 8)]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_attention_is_counted_on_every_device(device):
    width, tokens, window = 32, 64, 16
    model = ViTDetBackbone(img_size=64, patch_size=8, embed_dim=width, depth=2, num_heads=2,
                           window_size=4, global_attn_indexes=(1,), use_rel_pos=False).to(device)
    stack = LayerStack.build(model)
    image = torch.zeros(1, 3, 64, 64, device=device)
    flops = forward_flops(stack, model, lambda: model(image))
    linear = 2 * tokens * 12 * width**2
    patches = 2 * tokens * 3 * 64 * width
    assert flops == [patches + linear + 2 * 2 * tokens * window * width,
                     linear + 2 * 2 * tokens * tokens * width]


def test_a_failure_leaves_no_hooks():
    net = Net()
    stack = LayerStack(net, [('stem',), ('pair',)])
    with pytest.raises(RuntimeError):
        forward_flops(stack, net, lambda: net(torch.zeros(1, 7, 4, 4)))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def attend(form, backend, **kind):
    """FLOPs forward and backward of one attention, by the counter and with one kernel.

    Of 2 images, 3 heads of width 8 and a map of 4 x 4 tokens, in one of these forms: plain, with a
    mask, or with relative positions that are folded into queries and keys.
    """
    query, key, value = (torch.randn(2, 3, 16, 8, requires_grad=True, **kind) for _ in range(3))
    rows, cols = (torch.randn(4, 4, 8, requires_grad=True, **kind) for _ in range(2))
    mask = torch.randn(2, 3, 16, 16, **kind) if form == 'masked' else None
    with count_flops() as counter, sdpa_kernel(backend):
        if form == 'folded':
            out = folded_attention(query, key, value, rows, cols)
        else:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        forward = counter.get_total_flops()
        out.sum().backward()
    return forward, counter.get_total_flops() - forward


PRODUCT = 2 * 2 * 3 * 16 * 16 * 8
# Of the bias of relative positions: for each query one number for each row and each column.
TERMS = dict(plain=0, masked=0, folded=2 * 2 * 3 * 16 * (4 + 4) * 8)


@pytest.mark.parametrize('form, backend', [
    ('plain', SDPBackend.MATH), ('plain', SDPBackend.FLASH_ATTENTION),
    ('masked', SDPBackend.MATH), ('masked', SDPBackend.FLASH_ATTENTION),
    ('folded', SDPBackend.FLASH_ATTENTION)])
def test_attention_counts_the_same_with_every_kernel(form, backend):
    terms = TERMS[form]
    assert attend(form, backend) == (2 * PRODUCT + terms, 4 * PRODUCT + 2 * terms)


@pytest.mark.cuda
@pytest.mark.parametrize('form, backend', [
    ('plain', SDPBackend.MATH), ('plain', SDPBackend.FLASH_ATTENTION),
    ('plain', SDPBackend.EFFICIENT_ATTENTION), ('folded', SDPBackend.FLASH_ATTENTION),
    ('folded', SDPBackend.EFFICIENT_ATTENTION)])
def test_attention_counts_the_same_with_every_cuda_kernel(form, backend):
    terms = TERMS[form]
    assert attend(form, backend, device='cuda', dtype=torch.bfloat16) == (
        2 * PRODUCT + terms, 4 * PRODUCT + 2 * terms)


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_backward_of_each_layer_by_hand(device):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 8, 1),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).to(device)
    stack = LayerStack(model, [('0',), ('2',)])
    image = torch.zeros(2, 3, 10, 6, device=device)
    costs = layer_costs(stack, model, lambda: model(image).sum())
    first, second, last = 2 * 120 * 27 * 4, 2 * 120 * 4 * 8, 2 * 2 * 8 * 5
    # The gradient of a weight and that of an input take one product each. Nobody wants that of the
    # image; the one that the second convolution hands to the first counts as the first one's.
    assert costs == LayerCosts(forward=[first, second], backward=[first + second, second + last],
                               rest_forward=last, rest_backward=last)
    assert all(param.requires_grad and param.grad is None for param in model.parameters())


def test_nothing_behind_the_layers():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    costs = layer_costs(LayerStack.build(model, ['*']), model,
                        lambda: model(torch.zeros(6, 3)).sum())
    first, second = 2 * 6 * 3 * 4, 2 * 6 * 4 * 5
    assert costs == LayerCosts([first, second], [first + second, second], 0, 0)


def test_what_the_model_froze_itself_runs_forward_only():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(5, 2))
    model[0].requires_grad_(False)
    stack = LayerStack(model, [('0',), ('1',)])
    costs = layer_costs(stack, model, lambda: model(torch.zeros(6, 3)).sum())
    first, second, last = 2 * 6 * 3 * 4, 2 * 6 * 4 * 5, 2 * 6 * 5 * 2
    assert costs == LayerCosts([first + second], [second + last], last, last)


@pytest.mark.parametrize('kind', [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize('groups', [1, 2, 8])
def test_both_gradients_of_a_convolution(kind, groups):
    conv = kind(8, 16, 3, stride=2, groups=groups)
    image = torch.zeros(2, 8, 9, 9, requires_grad=True)
    with count_flops() as counter:
        out = conv(image)
        forward = counter.get_total_flops()
        out.sum().backward()
    positions = 2 * (out if kind is nn.Conv2d else image)[0, 0].numel()
    assert forward == 2 * positions * 9 * 8 * 16 // groups
    assert counter.get_total_flops() == 3 * forward


@pytest.mark.parametrize('name, patterns, side, shares', [
    ('vgg13', ['features.*'], 32,
     {1: .8, 2: 17.3, 3: 25.6, 4: 42.1, 5: 50.4, 6: 66.9, 7: 75.2, 8: 91.7, 9: 95.9, 10: 100}),
    ('resnet152', ['conv1', 'bn1', 'layer*.*'], 224, {3: 6.8, 11: 23.3, 47: 93.0, 50: 100}),
])
def test_published_shares_of_a_prefix(name, patterns, side, shares):
    with torch.device('meta'):
        model = getattr(torchvision.models, name)()
        image = torch.zeros(1, 3, side, side)
    flops = forward_flops(LayerStack.build(model, patterns), model, lambda: model(image))
    percent = {n: round(100 * sum(flops[:n]) / sum(flops), 1) for n in shares}
    assert len(flops) == max(shares)
    assert percent == shares


def resnet():
    model = torchvision.models.resnet18(num_classes=7)
    image = torch.randn(2, 3, 64, 64)
    return (model, LayerStack.build(model, ['conv1', 'bn1', 'layer*.*']),
            lambda: model(image).logsumexp(1).sum())


def vitdet():
    """The toy detector with its losses, which take the same samples whenever they are asked."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(Config.fromfile(MODELS_OF_CONFIGS / 'vitdet_toy.py').model)
    image = torch.randn(1, 3, 64, 64)
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64), pad_shape=(64, 64)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[10., 10, 40, 36], [30, 44, 60, 60]]), labels=torch.tensor([0, 3]))

    def loss():
        torch.manual_seed(0)
        return model.parse_losses(model(image, [sample], mode='loss'))[0]

    return model, LayerStack.build(model), loss


@pytest.mark.parametrize('build', [resnet, vitdet])
def test_sums_are_the_passes_of_a_frozen_model(build):
    model, stack, loss = build()
    costs = layer_costs(stack, model, loss)
    assert min(costs.forward + costs.backward) > 0
    for frozen in (0, 1, len(stack) // 2, len(stack)):
        stack.freeze(frozen)
        with count_flops() as counter:
            value = loss()
            forward = counter.get_total_flops()
            value.backward()
        assert sum(costs.forward) + costs.rest_forward == forward
        assert (sum(costs.backward[frozen:]) + costs.rest_backward
                == counter.get_total_flops() - forward)

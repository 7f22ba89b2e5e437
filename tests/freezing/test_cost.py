"""FLOPs of layers against arithmetic by hand."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmfreeze.freezing import LayerStack
from mmfreeze.freezing.cost import count_flops, forward_flops
from mmfreeze.models.backbones import ViTDetBackbone


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


def attend(query, key, value, bias, backend):
    """FLOPs forward and backward of one attention, by the counter and with one kernel."""
    with count_flops() as counter, sdpa_kernel(backend):
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        forward = counter.get_total_flops()
        out.sum().backward()
    return forward, counter.get_total_flops() - forward


@pytest.mark.parametrize('backend', [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
@pytest.mark.parametrize('with_bias', [False, True])
def test_attention_counts_the_same_with_every_kernel(backend, with_bias):
    query, key, value = (torch.randn(2, 3, 16, 8, requires_grad=True) for _ in range(3))
    bias = torch.randn(2, 3, 16, 16) if with_bias else None
    product = 2 * 2 * 3 * 16 * 16 * 8
    assert attend(query, key, value, bias, backend) == (2 * product, 4 * product)


@pytest.mark.cuda
@pytest.mark.parametrize('backend', [
    SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION])
def test_attention_counts_the_same_with_every_cuda_kernel(backend):
    query, key, value = (torch.randn(2, 3, 16, 8, device='cuda', dtype=torch.bfloat16,
                                     requires_grad=True) for _ in range(3))
    product = 2 * 2 * 3 * 16 * 16 * 8
    assert attend(query, key, value, None, backend) == (2 * product, 4 * product)

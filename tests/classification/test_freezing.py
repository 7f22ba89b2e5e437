"""What freezing the first n layers of each classifier's backbone leaves of the backward pass."""
import pytest
import torch
from mmpretrain.registry import MODELS

import mmfreeze.classification  # noqa: F401
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing import is_part_of
from mmfreeze.freezing.cost import count_flops, forward_flops

DENSE = dict(growth_rate=4, depths=[2, 2, 2], init_channels=8)
BACKBONES = {
    'vgg': (dict(type='VGG', depth=11, norm_cfg=dict(type='BN')), 512),
    'resnet': (dict(type='ResNet', depth=18, base_channels=8, stem_channels=8), 64),
    'resnet_cifar': (dict(type='ResNet_CIFAR', depth=50, base_channels=4, stem_channels=4), 128),
    'densenet': (dict(type='DenseNet', arch=DENSE), 16),
    'small_densenet': (dict(type='SmallDenseNet', arch=DENSE), 16),
    'wide_resnet': (dict(type='WideResNet', depth=16, widen_factor=1), 64),
}


@pytest.fixture(params=BACKBONES)
def model(request):
    backbone, channels = BACKBONES[request.param]
    return MODELS.build(dict(
        type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=channels)))


def test_the_backward_pass_ends_at_the_prefix(model):
    stack = build_stack(model)
    images, target = torch.randn(2, 3, 32, 32), torch.tensor([0, 2])
    buffers = []
    before = None
    for n in range(len(stack) + 1):
        stack.freeze(n)
        model.train()
        stack.freeze(n)
        for param in model.parameters():
            param.grad = None
        with count_flops() as counter:
            loss = torch.nn.functional.cross_entropy(model(images), target)
            forward = counter.get_total_flops()
            loss.backward()
            backward = counter.get_total_flops() - forward
        prefix = [name for names in stack.names[:n] for name in names]
        for name, param in model.named_parameters():
            assert (param.grad is None) == is_part_of(name, prefix), (n, name)
        assert before is None or backward < before
        before = backward
        statistics = {name: buffer.clone() for name, buffer in model.named_buffers()
                      if is_part_of(name, prefix)}
        for name, buffer in buffers:
            assert torch.equal(statistics[name], buffer), (n, name)
        buffers = list(statistics.items())


def test_layers_hold_nearly_all_of_the_forward_pass(model):
    """Whatever of the backbone is in no layer costs no product: a norm, poolings."""
    stack = build_stack(model)
    images = torch.randn(2, 3, 32, 32)
    flops = forward_flops(stack, model, lambda: model.backbone(images))
    with count_flops() as counter, torch.no_grad():
        model.backbone(images)
    assert sum(flops) == counter.get_total_flops() and min(flops) > 0

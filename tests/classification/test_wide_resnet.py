"""The wide residual network against the paper's numbers and a forward pass written out."""
import pytest
import torch
import torch.nn.functional as F

from mmfreeze.classification import WideResNet


def randomised(model):
    """Gives norms statistics and weights that change something."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.uniform_(.5, 1.5)
    return model


def written_out(weights, x, depth, training):
    """The network as the paper describes it: B(3, 3), norm and ReLU before each convolution."""
    def norm(x, name):
        w = {key: weights[f'{name}.{key}'] for key in ('weight', 'bias')}
        mean, var = (None, None) if training else (weights[f'{name}.running_mean'],
                                                   weights[f'{name}.running_var'])
        return F.relu(F.batch_norm(x, mean, var, w['weight'], w['bias'], training=training))

    x = F.conv2d(x, weights['stem.weight'], padding=1)
    per_stage = (depth - 4) // 6
    for block in range(3 * per_stage):
        stride = 2 if block in (per_stage, 2 * per_stage) else 1
        name = f'blocks.{block}'
        inner = norm(x, f'{name}.norm1')
        if inner.shape[1] != weights[f'{name}.conv1.weight'].shape[0]:
            x = F.conv2d(inner, weights[f'{name}.shortcut.weight'], stride=stride)
        inner = F.conv2d(inner, weights[f'{name}.conv1.weight'], stride=stride, padding=1)
        inner = norm(inner, f'{name}.norm2')
        x = x + F.conv2d(inner, weights[f'{name}.conv2.weight'], padding=1)
    return norm(x, 'norm')


@pytest.mark.parametrize('depth, widen_factor', [(10, 1), (16, 2), (28, 2)])
@pytest.mark.parametrize('training', [False, True])
def test_forward_pass_is_the_one_written_out(depth, widen_factor, training):
    # The first block of (10, 1) does not change the width.
    model = randomised(WideResNet(depth, widen_factor).double()).train(training)
    x = torch.randn(2, 3, 16, 12, dtype=torch.double)
    out, = model(x.clone())
    assert out.shape == (2, 64 * widen_factor, 4, 3)
    torch.testing.assert_close(out, written_out(model.state_dict(), x, depth, training))


@pytest.mark.parametrize('depth, widen_factor, millions', [
    (40, 1, .6), (40, 2, 2.2), (40, 4, 8.9), (28, 10, 36.5), (16, 8, 11.0), (22, 8, 17.2)])
def test_number_of_parameters_printed_in_the_paper(depth, widen_factor, millions):
    with torch.device('meta'):
        model = WideResNet(depth, widen_factor)
    counted = sum(param.numel() for param in model.parameters())
    widths = [16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
    products = 27 * 16
    for before, width in zip(widths, widths[1:]):
        products += 9 * before * width + (2 * (depth - 4) // 6 - 1) * 9 * width**2
        products += before * width if before != width else 0
    norms = sum(param.numel() for param in model.parameters() if param.ndim == 1)
    assert counted == products + norms and norms < .01 * counted
    assert round((counted + widths[-1] * 10 + 10) / 1e6, 1) == millions


def test_dropout_is_between_the_convolutions():
    block = WideResNet(10, 1, drop_rate=.5).blocks[0]
    seen = []
    block.dropout.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0], out)))
    block(torch.randn(1, 16, 8, 8))
    (before, after), = seen
    assert block.dropout.p == .5 and (after == 0).sum() > (before == 0).sum() > 0


@pytest.mark.parametrize('depth', [4, 18, 41])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match=rf'depth={depth} is not 6 n \+ 4'):
        WideResNet(depth, 2)

import pytest
import torch

from mmfreeze.models.layers import DropPath


def test_keeps_the_mean_and_drops_whole_samples():
    x = torch.ones(20000, 2, 3, dtype=torch.float64)
    y = DropPath(.2)(x)
    assert y.dtype == x.dtype
    assert y.unique().tolist() == pytest.approx([0., 1.25])
    assert torch.equal(y, y[:, :1, :1].expand_as(y))
    assert y.mean().item() == pytest.approx(1., abs=.02)  # 5 standard errors and more


@pytest.mark.parametrize('rate, training', [(0., True), (.5, False)])
def test_is_the_identity_without_a_rate_and_out_of_training(rate, training):
    x = torch.randn(8, 3)
    assert DropPath(rate).train(training)(x) is x


def test_the_rate_is_not_in_the_state_dict():
    assert not DropPath(.5).state_dict()


@pytest.mark.parametrize('rate', [-.1, 1.])
def test_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=r'drop-path rate.*\[0, 1\)'):
        DropPath(rate)

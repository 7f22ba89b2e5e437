"""The estimator against sums over tuples of images, and what it does not change with."""
from itertools import permutations

import pytest
import torch

from mmfreeze.analysis.similarity import MinibatchCKA, centred_gram


def u_statistic(x, y):
    """HSIC as the mean over all tuples of different images (Gretton et al. 2005, in its words)."""
    K, L = x @ x.T, y @ y.T
    n = range(len(x))
    pairs, triples, fours = (list(permutations(n, size)) for size in (2, 3, 4))
    return (sum(K[i, j] * L[i, j] for i, j in pairs) / len(pairs)
            + sum(K[i, j] * L[k, m] for i, j, k, m in fours) / len(fours)
            - 2 * sum(K[i, j] * L[i, k] for i, j, k in triples) / len(triples))


def biased_cka(x, y):
    """The closed formula of Kornblith et al. 2019, from centred Gram matrices."""
    n = len(x)
    H = torch.eye(n, dtype=x.dtype) - torch.full((n, n), 1 / n, dtype=x.dtype)
    K, L = H @ x @ x.T @ H, H @ y @ y.T @ H
    return (K @ L).trace() / (K.norm() * L.norm())


def cka(*minibatches):
    estimate = MinibatchCKA()
    for x, y in minibatches:
        estimate.update(centred_gram(x), centred_gram(y))
    return estimate.value()


@pytest.fixture
def related():
    """Features of two layers for 8 images that have something in common."""
    common = torch.randn(8, 3, dtype=torch.float64)
    return (common @ torch.randn(3, 6, dtype=torch.float64),
            common @ torch.randn(3, 4, dtype=torch.float64)
            + torch.randn(8, 4, dtype=torch.float64))


def test_one_minibatch_is_the_closed_formula(related):
    x, y = (features[:5] for features in related)
    expected = u_statistic(x, y) / (u_statistic(x, x) * u_statistic(y, y)).sqrt()
    assert cka((x, y)).item() == pytest.approx(expected.item(), rel=1e-12)
    gram_x, gram_y = centred_gram(x), centred_gram(y)
    assert (gram_x * gram_y).sum().item() / 10 == pytest.approx(u_statistic(x, y).item(), rel=1e-12)


def test_the_parts_are_averaged_before_the_ratio_is_taken(related):
    batches = [[features[start:start + 4] for features in related] for start in (0, 4)]
    cross, first, second = (sum(u_statistic(batch[a], batch[b]) for batch in batches)
                            for a, b in ((0, 1), (0, 0), (1, 1)))
    assert cka(*batches).item() == pytest.approx((cross / (first * second).sqrt()).item(),
                                                 rel=1e-12)


def test_rotation_scale_and_shift_change_nothing(related):
    x, y = related
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    before = cka((x, y)).item()
    assert 0 < before < 1
    assert cka((7e3 * x @ rotation + 50., y)).item() == pytest.approx(before, rel=1e-9)


def test_the_same_features_give_one():
    x = torch.randn(6, 3, 5, 4)
    assert cka((x, x), (x[:4], x[:4])).item() == 1
    assert cka((x, -3 * x.flatten(1).flip(1))).item() == pytest.approx(1, abs=1e-6)


def test_independent_features_have_no_upward_bias():
    pairs = [(torch.randn(8, 60, dtype=torch.float64), torch.randn(8, 60, dtype=torch.float64))
             for _ in range(200)]
    assert sum(biased_cka(x, y) for x, y in pairs) / len(pairs) > .8
    assert abs(cka(*pairs).item()) < .05


def test_many_layers_at_once(related):
    x, y = related
    estimate = MinibatchCKA()
    estimate.update(torch.stack([centred_gram(x), centred_gram(y)]),
                    torch.stack([centred_gram(y), centred_gram(y)]))
    assert estimate.value().tolist() == [cka((x, y)).item(), 1.]


def test_features_that_are_the_same_for_all_images_have_no_cka():
    x = torch.randn(7, 3)
    constant = torch.rand(50, dtype=torch.float64).expand(7, 50)
    assert cka((x, constant)).isnan() and cka((constant, constant)).isnan()


def test_minibatches_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r'at least 4 images, but one has 3: .* n \(n - 3\)'):
        centred_gram(torch.randn(3, 2))

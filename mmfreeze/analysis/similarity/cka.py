"""Linear CKA, estimated from minibatches."""
import torch
from torch import Tensor

# With fewer images the estimator divides by zero: by n (n - 3).
FEWEST_IMAGES = 4


def centred_gram(features: Tensor) -> Tensor:
    """The inner products of a minibatch's features, centred so that HSIC is estimated unbiased.

    ``HSIC_1(K, L) = (tr(KL) + (1'K1)(1'L1) / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1) / (n (n - 3))``
    (Song et al., Feature Selection via Dependence Maximization, JMLR 2012; K and L with zeros on
    the diagonal) is the inner product of two matrices that are centred each for itself
    (Szekely and Rizzo, Annals of Statistics 2014), which is what this returns:
    ``K_ij - (K1)_i / (n - 2) - (K1)_j / (n - 2) + 1'K1 / ((n - 1)(n - 2))``, zeros on the diagonal.

    Args:
        features (Tensor): Of n images, of shape (n, ...); what follows the first axis is flattened.

    Returns:
        Tensor: Of shape (n, n), in float64.

    Raises:
        ValueError: n is below 4.
    """
    n = len(features)
    if n < FEWEST_IMAGES:
        raise ValueError(f'CKA needs minibatches of at least {FEWEST_IMAGES} images, but one has '
                         f'{n}: the unbiased estimator divides by n (n - 3)')
    flat = features.flatten(1).double()
    # A shift changes nothing but rounding. That by the first image, unlike that by the mean, makes
    # features that are the same for all images exactly zero.
    flat = flat - flat[0]
    gram = (flat @ flat.T).fill_diagonal_(0)
    rows = gram.sum(1) / (n - 2)
    gram = gram - rows - rows[:, None] + rows.sum() / (n - 1)
    return gram.fill_diagonal_(0)


class MinibatchCKA:
    """Linear CKA of two representations of the same images, given minibatch by minibatch.

    ``sum HSIC_1(K, L) / sqrt(sum HSIC_1(K, K) sum HSIC_1(L, L))``, with sums over minibatches
    (Nguyen, Raghu, Kornblith: Do Wide and Deep Networks Learn the Same Things? ICLR 2021). Each
    of the three sums is unbiased, so that the result does not depend on the size of minibatches
    but for noise; it is 1 for representations that differ by a rotation and a factor, about 0 for
    independent ones, and may lie a little below 0.
    """

    def __init__(self) -> None:
        self._cross = self._first = self._second = torch.zeros((), dtype=torch.float64)

    def update(self, first: Tensor, second: Tensor) -> None:
        """Takes a minibatch.

        Args:
            first (Tensor): One representation as :func:`centred_gram` returns it, of shape (n, n);
                or several, of shape (..., n, n).
            second (Tensor): The other one, of the same images and shape.
        """
        n = first.shape[-1]
        self._cross, self._first, self._second = (
            total + (one * other).sum((-2, -1)) / (n * (n - 3))
            for total, one, other in ((self._cross, first, second), (self._first, first, first),
                                      (self._second, second, second)))

    def value(self) -> Tensor:
        """CKA, of shape (...): NaN where a representation does not tell the images apart."""
        product = self._first * self._second
        return torch.where(product > 0, self._cross / product.sqrt(), torch.nan)

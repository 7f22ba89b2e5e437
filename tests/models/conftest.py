"""An interpolation written for the tests alone, and the scope in which mmdet's models are built."""
import numpy as np
import pytest
from mmengine.registry import DefaultScope


@pytest.fixture
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def _cubic(distance: float, a: float = -.75) -> float:
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    if d < 2:
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return 0.


def _cubic_matrix(size: int, new_size: int) -> np.ndarray:
    """Rows of weights over the old positions; positions beyond the rim repeat the rim."""
    matrix = np.zeros((new_size, size))
    for row in range(new_size):
        source = (row + .5) * size / new_size - .5
        for tap in range(int(np.floor(source)) - 1, int(np.floor(source)) + 3):
            matrix[row, min(max(tap, 0), size - 1)] += _cubic(source - tap)
    return matrix


@pytest.fixture(scope='session')
def bicubic():
    """Returns a function that resizes an array (H, W, C) by cubic convolution, in float64."""
    def resize(table: np.ndarray, height: int, width: int) -> np.ndarray:
        return np.einsum('yh,xw,hwc->yxc', _cubic_matrix(table.shape[0], height),
                         _cubic_matrix(table.shape[1], width), table.astype(np.float64))

    return resize

import pytest
import torch

from mmfreeze.models.layers import window_partition, window_unpartition


def test_windows_are_cut_row_by_row_and_padded_with_zeros():
    x = torch.arange(1., 3 * 5 + 1).view(1, 3, 5, 1)
    windows = window_partition(x, 2)
    assert windows.shape == (2 * 3, 2, 2, 1)
    assert windows[0].flatten().tolist() == [1, 2, 6, 7]
    assert windows[2].flatten().tolist() == [5, 0, 10, 0]
    assert windows[5].flatten().tolist() == [15, 0, 0, 0]


@pytest.mark.parametrize('size', [(6, 6), (4, 7), (1, 1), (3, 8)])
def test_unpartition_undoes_partition(size):
    x = torch.rand(2, *size, 5)
    assert torch.equal(window_unpartition(window_partition(x, 3), size), x)

import numpy as np
import pytest
import torch

from mmfreeze.models.layers import (
    relative_distances, relative_positions, resize_position_table, resize_relative_table)


@pytest.mark.parametrize('size', [(10, 10), (32, 32), (7, 23), (14, 9)])
def test_absolute_table_equals_cubic_convolution(bicubic, size):
    table = torch.randn(1, 14, 14, 6)
    expected = bicubic(table[0].numpy(), *size)
    np.testing.assert_allclose(resize_position_table(table, size)[0], expected, atol=1e-5)


def test_absolute_table_of_the_right_size_is_untouched():
    table = torch.randn(1, 14, 9, 6)
    assert resize_position_table(table, (14, 9)) is table
    assert resize_position_table(table, torch.Size([14, 9])) is table


@pytest.mark.parametrize('length', [7, 19, 31])
def test_relative_table_equals_linear_interpolation(length):
    table = torch.randn(15, 4)
    positions = (np.arange(length) + .5) * 15 / length - .5
    expected = np.stack([np.interp(positions, np.arange(15), column) for column in table.T.numpy()])
    np.testing.assert_allclose(resize_relative_table(table, length), expected.T, atol=1e-5)


@pytest.mark.parametrize('size', [4, 6])
def test_relative_positions_look_up_the_distance(size):
    table = torch.randn(7, 2)
    rows = resize_relative_table(table, 2 * size - 1)
    looked_up = relative_positions(table, relative_distances(size))
    for query in range(size):
        for key in range(size):
            assert torch.equal(looked_up[query, key], rows[query - key + size - 1])


def test_gradient_of_the_lookup_repeats_bit_by_bit_on_several_threads():
    table = torch.randn(127, 64, requires_grad=True)
    weight = torch.randn(64, 64, 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        looked_up = relative_positions(table, relative_distances(64))
        grads = [torch.autograd.grad((looked_up * weight).sum(), table, retain_graph=True)[0]
                 for _ in range(8)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(grads[0], grad) for grad in grads[1:])

"""Padding to a fixed size that is not taken for image."""
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS

import mmfreeze  # noqa: F401  registers the transform


@pytest.mark.parametrize('height, width', [(30, 64), (64, 10), (64, 64)])
def test_pads_right_and_below(height, width):
    image = np.full((height, width, 3), 7, np.uint8)
    pad = TRANSFORMS.build(dict(type='PadToSize', size=(64, 80)))
    results = pad(dict(img=image, img_shape=(height, width)))
    assert results['img'].shape == (80, 64, 3)
    assert results['img_shape'] == (height, width)
    assert (results['img'][:height, :width] == 7).all()
    outside = np.ones((80, 64), bool)
    outside[:height, :width] = False
    assert (results['img'][outside] == (104, 116, 124)).all()


def test_padding_is_the_mean_that_normalisation_takes_away():
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    padding = np.array((104, 116, 124))[::-1]
    assert np.abs((padding - mean) / std).max() < .01

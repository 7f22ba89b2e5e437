"""Which images are compared, and in which parts."""
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config

from mmfreeze.analysis.similarity import minibatches


@pytest.fixture
def batches(monkeypatch):
    """Returns a function that draws from a data set of so many images."""
    monkeypatch.setattr(DATASETS, 'build', lambda cfg: range(cfg.length))

    def draw(length, images, size):
        cfg = Config(dict(val_dataloader=dict(dataset=dict(length=length))))
        return list(minibatches(cfg, images, size).batch_sampler)
    return draw


def test_every_image_once_in_random_parts_of_one_size(batches):
    parts = batches(60, 256, 32)
    assert [len(part) for part in parts] == [30, 30]
    assert sorted(sum(parts, [])) == list(range(60))
    assert parts == batches(60, 256, 32)
    # Neighbours are spread.
    assert all(0 < sum(index < 30 for index in part) < 30 for part in parts)


def test_so_many_images_at_most(batches):
    parts = batches(1000, 50, 16)
    assert sorted(map(len, parts)) == [12, 12, 13, 13]
    assert len(set(sum(parts, []))) == 50


def test_no_part_is_too_small_for_the_estimator(batches):
    assert [len(part) for part in batches(9, 9, 4)] == [5, 4]
    assert [len(part) for part in batches(7, 256, 4)] == [7]


def test_data_sets_that_are_too_small_are_refused(batches):
    with pytest.raises(ValueError, match='holds 3 images, and CKA needs at least 4'):
        batches(3, 256, 32)
    with pytest.raises(ValueError, match='no val_dataloader'):
        minibatches(Config(dict(val_dataloader=None)), 256, 32)

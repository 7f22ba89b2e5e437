"""Each process sees its own share, in another order in each epoch."""
import pytest
from mmengine.dataset import DefaultSampler

from mmfreeze.datasets.samplers import FixedShareSampler, fixed_share_sampler


def sampler_of(rank, world_size, monkeypatch, length=11, **options):
    monkeypatch.setattr(fixed_share_sampler, 'get_dist_info', lambda: (rank, world_size))
    return FixedShareSampler(range(length), seed=5, **options)


@pytest.mark.parametrize('epoch', [0, 3])
def test_a_single_process_draws_what_the_default_sampler_draws(epoch):
    ours, default = FixedShareSampler(range(11), seed=5), DefaultSampler(range(11), seed=5)
    for sampler in (ours, default):
        sampler.set_epoch(epoch)
    assert list(ours) == list(default) and len(ours) == len(default) == 11


def test_shares_stay_and_are_of_one_length(monkeypatch):
    samplers = [sampler_of(rank, 3, monkeypatch) for rank in range(3)]
    orders = set()
    for epoch in range(4):
        for rank, sampler in enumerate(samplers):
            sampler.set_epoch(epoch)
            drawn = list(sampler)
            assert len(drawn) == len(sampler) == 4
            assert set(drawn) == set(range(rank, 11, 3)) == set(sampler.share)
            orders.add((rank, *drawn))
    assert len(orders) > 8


def test_without_shuffling_the_order_is_that_of_the_data(monkeypatch):
    assert list(sampler_of(2, 3, monkeypatch, shuffle=False)) == [2, 5, 8, 2]


def test_too_few_samples(monkeypatch):
    with pytest.raises(ValueError, match='2 samples are too few for 3 processes'):
        sampler_of(0, 3, monkeypatch, length=2)

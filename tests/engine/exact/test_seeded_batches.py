"""Seeded samples in numbered batches."""
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, SequentialSampler

from mmfreeze.engine.exact.loops import _seeded
from mmfreeze.engine.exact.seeded_batch_sampler import Draw, SeededBatchSampler
from mmfreeze.engine.exact.seeded_dataset import SeededDataset
from mmfreeze.engine.exact.seeding import seed_generators, seeded


class Random:
    """Samples made of what each generator draws."""
    metainfo = dict(classes=('a',))

    def __len__(self):
        return 7

    def __getitem__(self, index):
        assert type(index) is int
        return torch.tensor([random.random(), np.random.rand(), torch.rand(()), index])


def draws():
    return [random.random(), np.random.rand(), torch.rand(()).item()]


def load(sampler, workers, number=0, skip=0, seed=5, **options):
    batches = SeededBatchSampler(sampler, 2, **options)
    batches.begin(seed, number, skip)
    loader = DataLoader(SeededDataset(dict(type=Random)), batch_sampler=batches,
                        num_workers=workers)
    return batches, loader


@pytest.mark.parametrize('workers', [0, 2])
def test_samples_follow_from_seed_batch_and_index(workers):
    dataset = Random()
    _, loader = load(DefaultSampler(dataset, shuffle=True), 0, number=14)
    reference = torch.cat(list(loader))
    torch.manual_seed(99)  # nothing depends on the global generators
    _, loader = load(DefaultSampler(dataset, shuffle=True), workers, number=14)
    assert torch.equal(torch.cat(list(loader)), reference)
    _, loader = load(DefaultSampler(dataset, shuffle=True), workers, number=16, skip=2)
    assert torch.equal(torch.cat(list(loader)), reference[4:])
    _, loader = load(DefaultSampler(dataset, shuffle=True), workers, number=18)
    again = torch.cat(list(loader))
    assert torch.equal(again[:, 3], reference[:, 3]) and (again[:, :3] != reference[:, :3]).all()


def test_global_generators_stay():
    seed_generators(1)
    expected = draws()
    seed_generators(1)
    SeededDataset(dict(type=Random))[Draw(3, (5, 0))]
    assert draws() == expected
    with pytest.raises(KeyError), seeded(2):
        raise KeyError
    seed_generators(1)
    assert draws() == expected


@pytest.mark.parametrize('key, other', [((1, 2), (2, 1)), ((1,), (2,)), ((0, 5, 7), (0, 5, 8))])
def test_other_keys_give_other_numbers(key, other):
    seed_generators(*key)
    first = draws()
    seed_generators(*other)
    assert all(a != b for a, b in zip(first, draws()))


def test_sampler_takes_the_seed_of_the_run():
    """Without a seed in the config, samplers are built before a resumed run knows it."""
    sampler = DefaultSampler(Random(), shuffle=True, seed=1)
    wanted = list(DefaultSampler(Random(), shuffle=True, seed=8))
    batches, _ = load(sampler, 0, seed=8)
    assert [int(draw) for batch in batches for draw in batch] == wanted


@pytest.mark.parametrize('skip', [0, 3, 11])
def test_endless_passes(skip):
    """Behind a finite sampler too, with the order of each pass, as an iteration loop goes on."""
    def indices(batches, count):
        iterator = iter(batches)
        return [[int(draw) for draw in next(iterator)] for _ in range(count)]

    for make in (lambda: InfiniteSampler(Random(), shuffle=True),
                 lambda: DefaultSampler(Random(), shuffle=True)):
        whole, _ = load(make(), 0, endless=True)
        part, _ = load(make(), 0, number=skip, skip=skip, endless=True)
        assert indices(part, 4) == indices(whole, skip + 4)[skip:]


def test_batches_of_another_sampler():
    class Reverse:
        def __init__(self, sampler, batch_size, drop_last):
            self.order = list(sampler)[::-1]
            self.size, self.drop_last = batch_size, drop_last

        def __len__(self):
            return len(self.order) // self.size

        def __iter__(self):
            for i in range(len(self)):
                yield self.order[i * self.size:][:self.size]

    batches, _ = load(SequentialSampler(Random()), 0, batch_sampler=dict(type=Reverse),
                      drop_last=True)
    assert batches.batches.drop_last and len(batches) == 3
    assert [list(map(int, batch)) for batch in batches] == [[6, 5], [4, 3], [2, 1]]


def test_what_travels_to_workers():
    draw = pickle.loads(pickle.dumps(Draw(4, (1, 2))))
    assert (draw, draw.key) == (4, (1, 2))
    dataset = pickle.loads(pickle.dumps(SeededDataset(dict(type=Random))))
    assert len(dataset) == 7 and dataset.metainfo == Random.metainfo
    with pytest.raises(AttributeError, match='absent'):
        dataset.absent


def test_what_hooks_set_is_set_in_the_data_set():
    """As mmdet's PipelineSwitchHook does; and torch must not fetch whole batches past the seeds."""
    dataset = SeededDataset(dict(type=Random))
    dataset.pipeline = 'another'
    assert dataset.dataset.pipeline == 'another' == dataset.pipeline
    dataset.dataset.__class__.__getitems__ = None
    try:
        assert not hasattr(dataset, '__getitems__')
    finally:
        del dataset.dataset.__class__.__getitems__
    assert dataset[3][3] == 3, 'a plain index for whoever looks at the data'


def test_a_setting_that_mmengine_takes_out_only_by_itself():
    """With a ``worker_init_fn`` it would hand this on to torch's ``DataLoader``."""
    cfg = _seeded(dict(dataset=dict(type=Random), batch_size=2, disable_subprocess_warning=True), endless=False)
    assert cfg['worker_init_fn'] and 'disable_subprocess_warning' not in cfg


def test_nothing_to_draw():
    class Empty(Random):
        def __len__(self):
            return 0

    with pytest.raises(ValueError, match='no batch of 2 images'):
        SeededBatchSampler(SequentialSampler(Empty()), 2, endless=True)

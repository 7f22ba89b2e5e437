"""Images and labels from an npz file."""
import pickle

import numpy as np
import pytest
import torch
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

from mmfreeze.classification import NpzDataset

rng = np.random.default_rng(0)
COLOUR = dict(x_train=rng.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8),
              y_train=np.array([2, 0, 1, 1, 0, 2, 2]),
              x_test=rng.integers(0, 256, (3, 6, 5, 3), dtype=np.uint8),
              y_test=np.array([1, 0, 2], dtype=np.uint8),
              classes=np.array(['cat', 'dog', 'ship']))
GREY = dict(COLOUR, x_train=COLOUR['x_train'][..., 0], x_test=COLOUR['x_test'][..., 0])
PACK = [dict(type='mmpretrain.PackInputs')]


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        path = tmp_path / 'set.npz'
        np.savez_compressed(path, **arrays)
        return str(path)
    return write


@pytest.mark.parametrize('split, count', [('train', 7), ('test', 3)])
def test_samples(npz, split, count):
    dataset = DATASETS.build(dict(type='NpzDataset', ann_file=npz(**COLOUR), split=split))
    assert len(dataset) == count and dataset.metainfo['classes'] == ('cat', 'dog', 'ship')
    for i in range(count):
        info = dataset[i]
        assert set(info) == {'img', 'gt_label', 'sample_idx'} and info['sample_idx'] == i
        assert np.array_equal(info['img'], COLOUR[f'x_{split}'][i])
        assert info['gt_label'] == COLOUR[f'y_{split}'][i] and type(info['gt_label']) is int
    assert dataset.get_gt_labels().tolist() == COLOUR[f'y_{split}'].tolist()


def test_grey_goes_to_all_channels(npz):
    dataset = NpzDataset(npz(**{k: v for k, v in GREY.items() if k != 'classes'}), 'train')
    assert 'classes' not in dataset.metainfo
    image = dataset[4]['img']
    assert image.shape == (6, 5, 3)
    assert all(np.array_equal(image[..., c], GREY['x_train'][4]) for c in range(3))


def test_subset_and_pipeline(npz):
    dataset = NpzDataset('set.npz', 'train', data_root=npz(**COLOUR).removesuffix('set.npz'),
                         indices=[5, 1], pipeline=PACK)
    assert len(dataset) == 2
    sample = dataset[1]
    assert torch.equal(sample['inputs'].permute(1, 2, 0), torch.from_numpy(COLOUR['x_train'][1]))
    assert sample['data_samples'].gt_label.item() == 0
    assert sample['data_samples'].sample_idx == 1
    assert len(NpzDataset(npz(**COLOUR), 'train', indices=4)) == 4


def test_transforms_cannot_spoil_the_images(npz):
    dataset = NpzDataset(npz(**COLOUR), 'test')
    dataset[0]['img'][:] = 0
    assert np.array_equal(dataset[0]['img'], COLOUR['x_test'][0])


def test_only_the_split_is_read(npz, monkeypatch):
    read, original = [], np.lib.npyio.NpzFile.__getitem__

    def spy(self, key):
        read.append(key)
        return original(self, key)
    monkeypatch.setattr(np.lib.npyio.NpzFile, '__getitem__', spy)
    NpzDataset(npz(**COLOUR), 'test')
    assert set(read) == {'x_test', 'y_test', 'classes'}


class Address:
    """A transform that tells where the images lie, and in which process."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __call__(self, info):
        return self.dataset._images.__array_interface__['data'][0]


def test_workers_share_the_images(npz):
    """After a fork the array is at the same address, which a copy of it is not."""
    dataset = NpzDataset(npz(**COLOUR), 'train')
    dataset.pipeline = Address(dataset)
    here = dataset._images.__array_interface__['data'][0]
    loader = DataLoader(dataset, num_workers=2, multiprocessing_context='fork')
    assert {int(where) for where in loader} == {here}
    assert len(pickle.loads(pickle.dumps(NpzDataset(npz(**COLOUR), 'train')))) == 7


@pytest.mark.parametrize('change, words', [
    (dict(x_train=None), 'set.npz lacks x_train; it has '),
    (dict(x_train=COLOUR['x_train'] / 255), 'x_train must be uint8 of shape'),
    (dict(x_train=COLOUR['x_train'][..., :2]), 'but is uint8 of (7, 6, 5, 2)'),
    (dict(x_train=COLOUR['x_train'][0, 0]), 'but is uint8 of (5, 3)'),
    (dict(x_train=COLOUR['x_train'][..., None]), 'but is uint8 of (7, 6, 5, 3, 1)'),
    (dict(y_train=COLOUR['y_train'][:6]), 'y_train must be 7 integers'),
    (dict(y_train=np.eye(7)), 'y_train must be 7 integers'),
    (dict(y_train=np.array([0, 1, 2, 3, 0, 0, 0])), 'labels from 0 to 3'),
    (dict(y_train=np.array([0, 1, 2, -1, 0, 0, 0])), 'labels from -1 to 2'),
])
def test_wrong_files_get_one_line(npz, change, words):
    arrays = {k: v for k, v in {**COLOUR, **change}.items() if v is not None}
    with pytest.raises(ValueError) as error:
        NpzDataset(npz(**arrays), 'train')
    assert words in str(error.value) and '\n' not in str(error.value)
    assert 'set.npz' in str(error.value)


def test_what_is_no_npz(npz, tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.npz is absent; data/README.md'):
        NpzDataset(str(tmp_path / 'absent.npz'), 'train')
    with pytest.raises(ValueError, match="split must be 'train' or 'test', but is 'val'"):
        NpzDataset(npz(**COLOUR), 'val')
    whole = open(npz(**COLOUR), 'rb').read()
    other = tmp_path / 'other.npz'
    np.save(tmp_path / 'array.npy', COLOUR['x_train'])
    damaged = bytearray(whole)
    damaged[200:260] = bytes(60)
    for content in (b'', b'no zip', whole[:len(whole) // 2], (tmp_path / 'array.npy').read_bytes(),
                    bytes(damaged), pickle.dumps([1])):
        other.write_bytes(content)
        with pytest.raises(ValueError, match='other.npz is no npz file that can be read'):
            NpzDataset(str(other), 'train')

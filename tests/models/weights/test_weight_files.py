"""Files of weights: pickles, and what is written."""
import errno
import os
import pickle

import numpy as np
import pytest
import torch

from mmfreeze.models.backbones import ViTDetBackbone
from mmfreeze.models.weights import (PretrainedViT, read_checkpoint, read_weights,
                                     write_weights)


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def model_zoo_file(path, **more):
    """As in detectron2's model zoo: arrays under 'model'."""
    content = dict(model={'a.weight': np.arange(6.).reshape(2, 3)}, __author__='somebody', **more)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def test_pickles_are_read_on_trust_alone(tmp_path):
    path = model_zoo_file(tmp_path / 'w.pkl', trap=Trap(tmp_path / 'trace'))
    with pytest.raises(ValueError, match='a pickle can run any code; .*--trust-pickle') as error:
        PretrainedViT(str(path))(ViTDetBackbone(img_size=32, embed_dim=8, num_heads=2))
    assert '\n' not in str(error.value) and not (tmp_path / 'trace').exists()
    weights = read_weights(path, trust_pickle=True)
    assert weights.keys() == {'a.weight'} and (tmp_path / 'trace').exists()
    assert torch.equal(weights['a.weight'], torch.arange(6.).view(2, 3).double())


def test_checkpoints_with_code_in_them_are_read_on_trust_alone(tmp_path):
    path = tmp_path / 'w.pth'
    torch.save(dict(model=dict(a=torch.ones(2)), args=Trap(tmp_path / 'trace')), path)
    with pytest.raises(ValueError, match='--trust-pickle'):
        read_weights(path)
    assert not (tmp_path / 'trace').exists()
    assert torch.equal(read_weights(path, trust_pickle=True)['a'], torch.ones(2))


def test_checkpoints_of_runs_are_never_trusted(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    content = dict(meta=dict(epoch=1), state_dict=dict(a=torch.ones(2)), own=dict(key=[1]))
    for zipped in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        read = read_checkpoint(path)
        assert torch.equal(read['state_dict'].pop('a'), torch.ones(2))
        assert read == dict(meta=dict(epoch=1), state_dict={}, own=dict(key=[1]))
    torch.save(dict(content, args=Trap(tmp_path / 'trace')), path)
    with pytest.raises(ValueError, match='more than tensors .*so it is not read') as error:
        read_checkpoint(path)
    assert '--trust-pickle' not in str(error.value) and not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('content', [b'', b'no pickle', pickle.dumps([1, 2]),
                                     b'cnosuchmodule\nthing\n.'])
def test_broken_pickles_are_one_line(tmp_path, content):
    path = tmp_path / 'w.pkl'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='not readable as .pkl|expected tensors by name') as error:
        read_weights(path, trust_pickle=True)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['w.safetensors', 'w.pth'])
def test_written_weights_read_back(tmp_path, name):
    whole = torch.arange(1000.).view(10, 100)
    # Views of one storage, one of them not contiguous.
    write_weights(tmp_path / name, dict(a=whole[:1], b=whole[:2].t(), c=torch.ones(2).half()))
    read = read_weights(tmp_path / name)
    assert torch.equal(read['a'], whole[:1]) and torch.equal(read['b'], whole[:2].t())
    assert read['c'].dtype == torch.float16
    assert (tmp_path / name).stat().st_size < 4000


def test_other_kinds_are_not_written(tmp_path):
    with pytest.raises(ValueError, match='ends in .safetensors or .pth'):
        write_weights(tmp_path / 'w.npz', dict(a=torch.ones(2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['w.safetensors', 'w.pth'])
def test_an_interruption_leaves_no_half_file(tmp_path, name, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match=f'No space left on device: .*{name}'):
        write_weights(tmp_path / name, dict(a=torch.ones(2)))
    assert list(tmp_path.iterdir()) == []

"""The frozen-feature store keeps what it is given, and knows what it does not have."""
import errno
import os
import signal

import pytest
import torch

from mmfreeze.freezing import FeatureStore
from mmfreeze.freezing.store import stored_bytes

SHAPES = ((4, 3, 3), (6,))
KEYS = [(sample, view) for sample in range(5) for view in range(2)]


def features(count=len(KEYS), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, *shape, generator=generator) for shape in SHAPES]


def store(folder=None, dtype='float32', content='a', samples=5):
    return FeatureStore(samples, SHAPES, dtype, views=2, folder=folder, content=content)


@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
@pytest.mark.parametrize('on_disk', [False, True])
def test_what_is_read_is_what_was_written(tmp_path, dtype, on_disk):
    kept = store(tmp_path / 'store' if on_disk else None, dtype)
    levels = features()
    for start in (6, 0, 3):  # in any order, some of them twice
        kept.put(KEYS[start:start + 4], [level[start:start + 4] for level in levels])
    assert kept.lacking() == []
    order = [7, 0, 7, 3]
    for level, read in zip(levels, kept.get([KEYS[i] for i in order]), strict=True):
        assert torch.equal(read, level[order].to(getattr(torch, dtype)))
    assert kept.nbytes == stored_bytes(5, SHAPES, dtype, views=2)
    assert kept.nbytes == 10 * (36 + 6) * (4 if dtype == 'float32' else 2)
    kept.remove()
    assert not (tmp_path / 'store').exists()


@pytest.mark.parametrize('on_disk', [False, True])
def test_it_says_what_is_lacking(tmp_path, on_disk):
    kept = store(tmp_path / 'store' if on_disk else None)
    assert kept.lacking() == KEYS
    kept.put(KEYS[2:4], features(2))
    assert kept.lacking() == KEYS[:2] + KEYS[4:]
    assert kept.lacking([KEYS[3], KEYS[9]]) == [KEYS[9]]


def test_files_are_taken_up_again_only_for_the_same_content(tmp_path):
    store(tmp_path / 'store').put(KEYS, features())
    assert store(tmp_path / 'store').lacking() == []
    assert torch.equal(store(tmp_path / 'store').get(KEYS)[1], features()[1])
    for other in (dict(content='b'), dict(dtype='float16'), dict(samples=6)):
        assert store(tmp_path / 'store', **other).lacking()[:10] == KEYS, other
        store(tmp_path / 'store').put(KEYS, features())


@pytest.mark.parametrize('label', [None, b'', b'{"samp', b'\xff\xfe'])
def test_files_without_a_whole_label_are_thrown_away(tmp_path, label):
    store(tmp_path / 'store').put(KEYS, features())
    path = tmp_path / 'store' / 'store.json'
    path.unlink() if label is None else path.write_bytes(label)
    assert store(tmp_path / 'store').lacking() == KEYS


@pytest.mark.parametrize('place', ['features.bin', 'checksums.bin'])
def test_a_damaged_record_is_found_out(tmp_path, place):
    kept = store(tmp_path / 'store')
    kept.put(KEYS, features())
    path = tmp_path / 'store' / place
    content = bytearray(path.read_bytes())
    content[len(content) // 10 * 3 + 1] ^= 4  # within the fourth of ten records
    with open(path, 'r+b') as file:
        file.write(content)
    assert kept.lacking() == store(tmp_path / 'store').lacking() == [KEYS[3]]
    kept.put([KEYS[3]], [level[3:4] for level in features()])
    assert kept.lacking() == []
    assert torch.equal(kept.get(KEYS)[0], features()[0])


def test_a_process_killed_while_it_fills_leaves_whole_records(tmp_path):
    pid = os.fork()
    if not pid:
        try:
            kept = store(tmp_path / 'store')
            for i, key in enumerate(KEYS):
                if i == 6:
                    # in the middle of a record, behind its first half
                    kept._records[6, :20] = 1.
                    os.kill(os.getpid(), signal.SIGKILL)
                kept.put([key], [level[i:i + 1] for level in features()])
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    kept = store(tmp_path / 'store')
    assert kept.lacking() == KEYS[6:]
    assert torch.equal(kept.get(KEYS[:6])[0], features()[0][:6])


def test_memory_needs_no_checksums(monkeypatch):
    kept = store(None)
    monkeypatch.setattr(kept, '_checksum', lambda record: 1 / 0)
    kept.put(KEYS, features())
    assert kept.lacking() == [] and torch.equal(kept.get(KEYS)[0], features()[0])


def test_a_record_is_not_valid_while_it_is_written(tmp_path, monkeypatch):
    kept = store(tmp_path / 'store')
    kept.put(KEYS, features())
    monkeypatch.setattr(kept, '_checksum', lambda record: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kept.put(KEYS[4:5], features(1, seed=2))
    assert store(tmp_path / 'store').lacking() == [KEYS[4]]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(OSError, match=r'No space left.*features\.bin'):
        store(tmp_path / 'store')
    assert not (tmp_path / 'store').exists()


def test_the_room_is_taken_before_anything_is_written(tmp_path):
    kept = store(tmp_path / 'store')
    assert os.stat(tmp_path / 'store' / 'features.bin').st_blocks * 512 >= kept.nbytes

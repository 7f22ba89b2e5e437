"""The frozen-feature store: what a frozen prefix computed of each sample, kept for training."""
import json
import math
import mmap
import os
import shutil
import zlib
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from mmfreeze.utils.files import write_text_atomic

DTYPES = dict(float16=torch.float16, bfloat16=torch.bfloat16, float32=torch.float32)
# Of a record that was never written; a CRC-32 is not negative.
EMPTY = -1
# Of one in memory, which cannot have changed.
TRUSTED = 0


class FeatureStore:
    """Features of every view of every sample, in memory or in a memory-mapped file.

    In a file each record has a checksum, which is written behind it and compared at each reading.
    A process that is killed while it writes leaves records that are whole, and others that are
    found out. Memory is trusted.

    Args:
        samples (int): Number of samples.
        shapes (Sequence[Sequence[int]]): Shape of each of the feature tensors of one sample.
        dtype (str): How numbers are kept: ``'float32'``, ``'float16'`` or ``'bfloat16'``.
        views (int): Number of views (augmentations) of each sample. Defaults to 1.
        folder (Path, optional): Where to keep the files. Defaults to None: in memory.
        content (str): What the features were computed from and by, in whatever words. Files that
            are there already are taken up if they have the same content, shapes and dtype, and
            thrown away otherwise. Defaults to ''.

    Attributes:
        damaged (int): How many records were found not to be as they were written.
        removed (bool): Whether it was given back.

    Raises:
        OSError: There is no room in memory or on the disk; nothing is left behind.
    """

    def __init__(self, samples: int, shapes: Sequence[Sequence[int]], dtype: str, views: int = 1,
                 folder: Optional[Path] = None, content: str = '') -> None:
        self.samples, self.views, self.folder = samples, views, folder
        self.damaged, self.removed = 0, False
        self.shapes = [tuple(shape) for shape in shapes]
        self._lengths = [math.prod(shape) for shape in self.shapes]
        self._size = samples * views, sum(self._lengths)
        self._dtype = DTYPES[dtype]
        if folder is None:
            self._records = _unforked(mmap.mmap(-1, self.nbytes), self._size, self._dtype)
            self._sums = torch.full(self._size[:1], EMPTY)
        else:
            self._open(json.dumps(dict(samples=samples, views=views, shapes=self.shapes,
                                       dtype=dtype, content=content)))

    def put(self, keys: Sequence[Tuple[int, int]], features: Sequence[Tensor]) -> None:
        """Writes the features of some samples.

        Args:
            keys (Sequence[tuple[int, int]]): Sample and view of each.
            features (Sequence[Tensor]): Of shapes (len(keys), \\*shape), on any device.
        """
        rows = torch.cat([level.flatten(1).to('cpu', self._dtype) for level in features], 1)
        for record, row in zip(self._places(keys), rows):
            self._sums[record] = EMPTY
            self._records[record] = row
            self._sums[record] = TRUSTED if self.folder is None else self._checksum(record)

    def get(self, keys: Sequence[Tuple[int, int]]) -> List[Tensor]:
        """Reads the features of some samples, which must be there.

        Args:
            keys (Sequence[tuple[int, int]]): Sample and view of each.

        Returns:
            list[Tensor]: Of shapes (len(keys), \\*shape), in the store's dtype, on the CPU.
        """
        levels = self._records[self._places(keys)].split(self._lengths, 1)
        return [level.reshape(-1, *shape) for level, shape in zip(levels, self.shapes)]

    def lacking(self, keys: Optional[Sequence[Tuple[int, int]]] = None) -> List[Tuple[int, int]]:
        """The keys whose features are not there, or not as they were written.

        Args:
            keys (Sequence[tuple[int, int]], optional): Where to look. Defaults to None: everywhere.
        """
        if keys is None:
            keys = [divmod(record, self.views) for record in range(self._size[0])]
        return [key for key, record in zip(keys, self._places(keys)) if not self._whole(record)]

    @property
    def nbytes(self) -> int:
        """What all features take, or will take."""
        return math.prod(self._size) * self._dtype.itemsize

    def describe(self) -> str:
        """Its size and what it is for."""
        return (f'{self.nbytes / 1e6:.1f} MB ({self.samples} samples'
                + (f' in {self.views} views' if self.views > 1 else '') + ' of '
                + ' and '.join('x'.join(map(str, shape)) for shape in self.shapes)
                + f' in {str(self._dtype).removeprefix("torch.")})')

    @property
    def written_bytes(self) -> int:
        """What the features that are there take."""
        return self._records[0].nbytes * int((self._sums != EMPTY).sum())

    def remove(self) -> None:
        """Gives memory and files back; the store cannot be used any more."""
        self.removed = True
        del self._records, self._sums
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _places(self, keys: Sequence[Tuple[int, int]]) -> List[int]:
        return [sample * self.views + view for sample, view in keys]

    def _whole(self, record: int) -> bool:
        if self._sums[record] == EMPTY:
            return False
        if self.folder is None or self._sums[record] == self._checksum(record):
            return True
        self._sums[record] = EMPTY
        self.damaged += 1
        return False

    def _checksum(self, record: int) -> int:
        return zlib.crc32(self._records[record].view(torch.uint8).numpy())

    def _open(self, label: str) -> None:
        path = self.folder / 'store.json'
        if not path.is_file() or path.read_bytes() != label.encode():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        try:
            self._records = self._map('features.bin', self._size, self._dtype)
            self._sums = self._map('checksums.bin', self._size[:1], torch.int64)
            if not path.is_file():
                self._sums.fill_(EMPTY)
                write_text_atomic(path, label)
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _map(self, name: str, size: Tuple[int, ...], dtype: torch.dtype) -> Tensor:
        length = math.prod(size) * dtype.itemsize
        path = self.folder / name
        path.touch()
        with open(path, 'r+b') as file:
            # All of it now: a full disk would later kill the process that writes to the map.
            try:
                os.posix_fallocate(file.fileno(), 0, length)
            except OSError as error:
                error.filename = str(path)
                raise
            return _unforked(mmap.mmap(file.fileno(), length), size, dtype)


def stored_bytes(samples: int, shapes: Sequence[Sequence[int]], dtype: str, views: int = 1) -> int:
    """What a store of these arguments takes, in bytes."""
    return samples * views * sum(map(math.prod, shapes)) * DTYPES[dtype].itemsize


def _unforked(memory: mmap.mmap, size: Tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Memory that is given back when this process lets go of it, whoever was forked meanwhile."""
    memory.madvise(mmap.MADV_DONTFORK)
    return torch.frombuffer(memory, dtype=dtype).view(size)

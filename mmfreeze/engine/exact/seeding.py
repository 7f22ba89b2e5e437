"""The global random generators, set from what a run knows again after a resume."""
import random
from contextlib import contextmanager
from typing import Iterator, Tuple

import numpy as np
import torch


def seed_generators(*key: int) -> None:
    """Sets the generators of Python, NumPy and torch (all devices) from some numbers.

    Args:
        *key (int): Non-negative numbers, such as seed, rank and iteration. Other numbers, or the
            same in another order, give other streams.
    """
    torch.manual_seed(_set_others(*key))


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seeds the CPU's generators for a while and puts them back as they were."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    # Not those of CUDA devices, which would not be put back.
    torch.default_generator.manual_seed(_set_others(*key))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _set_others(*key: int) -> int:
    """Sets the generators of Python and NumPy; returns the seed for those of torch."""
    words: Tuple[int, ...] = tuple(map(int, np.random.SeedSequence(key).generate_state(4)))
    random.seed(words[0])
    np.random.seed(words[1])
    return (words[2] << 32) + words[3]

"""The global random generators, set from what a run knows again after a resume."""
import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch


def seed_generators(*key: int) -> None:
    """Sets the generators of Python, NumPy and torch (all devices) from some numbers.

    Args:
        *key (int): Non-negative numbers, such as seed, rank and iteration. Other numbers, or the
            same in another order, give other streams.
    """
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed((int(words[2]) << 32) + int(words[3]))


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seeds the CPU's generators for a while and puts them back as they were."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_generators(*key)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])

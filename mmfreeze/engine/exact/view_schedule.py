"""Which view of a sample each pass through the data shows."""
from typing import List, Optional, Sequence

import numpy as np


class ViewSchedule:
    """Draws one of K views for each sample and pass, as if by a die.

    The draw follows from the seed, the pass and the sample alone: it can be asked for at any time
    and in any order, which is how features are stored before they are needed.

    Args:
        num_views (int): K; 0 if there are no views to draw from.
    """

    def __init__(self, num_views: int) -> None:
        self.num_views = num_views

    def views(self, seed: int, number: int, samples: Sequence[int]) -> List[Optional[int]]:
        """The views of some samples.

        Args:
            seed (int): The run's seed.
            number (int): Number of the pass, from 0.
            samples (Sequence[int]): Indices into the data set.

        Returns:
            list[int | None]: For each of them a number below K; None if there are no views.
        """
        if self.num_views < 2:
            return [0 if self.num_views else None] * len(samples)
        offset, = np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)
        with np.errstate(over='ignore'):  # integers of 64 bits are meant to overflow here
            hashed = _mixed(np.asarray(samples, np.uint64) + offset)
        return (hashed % np.uint64(self.num_views)).astype(int).tolist()


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Scatters integers of 64 bits, as the generator SplitMix64 (Steele et al. 2014) does."""
    numbers = numbers * np.uint64(0x9e3779b97f4a7c15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return numbers ^ (numbers >> np.uint64(31))

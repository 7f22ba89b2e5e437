"""What the rows of a protocol take, apart from the drift of the machine's speed."""
from dataclasses import dataclass
from statistics import mean, median
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.optimize import least_squares

from .figures import Figures

# The machine's speed is taken to be the same for so many epochs' time.
EPOCHS_IN_A_BIN = 8
# Single epochs that are off by more than this share count less.
TYPICAL = .05


class TimedEpoch(NamedTuple):
    """An epoch of a part.

    Args:
        row (str): The part's row.
        seed (int): Its seed.
        state (tuple[int, int]): Layers that were frozen, and behind which features were stored.
        ended (float): When it ended, in seconds.
        seconds (float): How long its training took.
    """
    row: str
    seed: int
    state: Tuple[int, int]
    ended: float
    seconds: float


@dataclass(frozen=True)
class Steady:
    """What rows would take if the machine's speed did not change.

    Args:
        shares (dict[str, tuple[float, float, float]]): For each row, of the seconds of ``base``:
            the share, and the lowest and highest one with one seed left out.
        drift (tuple[float, float]): Lowest and highest time that the same work took, as a share of
            its mean.
    """
    shares: Dict[str, Tuple[float, float, float]]
    drift: Tuple[float, float]


def without_drift(parts: Sequence[Figures]) -> Optional[Steady]:
    """Tells rows and drift apart.

    The logarithm of an epoch's seconds is taken to be the sum of what its state (layers frozen and
    stored) costs and of what the machine adds in that while, and both are fitted to all epochs of
    all parts. Parts that ran at the same time, and states that several rows go through, connect the
    two; beyond that the machine is taken to change as little as possible from one while to the next.

    Args:
        parts (Sequence[Figures]): Of all rows and seeds, ``base`` among them.

    Returns:
        Steady | None: None if there is but one seed, or if records do not say when epochs ended.
    """
    seeds = sorted({part.seed for part in parts})
    if len(seeds) < 2 or any(when is None for part in parts for when in part.ended):
        return None
    epochs = [TimedEpoch(part.row, part.seed, tuple(state), ended, seconds) for part in parts
              for state, ended, seconds in zip(part.states, part.ended, part.seconds)]
    return steady(epochs)


def steady(epochs: Sequence[TimedEpoch]) -> Steady:
    """The same, from the epochs themselves, of at least two seeds."""
    whole, drift = _fit(epochs)
    left_out = [_fit([epoch for epoch in epochs if epoch.seed != seed])[0]
                for seed in sorted({epoch.seed for epoch in epochs})]
    return Steady({row: (share, *_ends([shares[row] for shares in left_out]))
                   for row, share in whole.items()}, _ends(drift))


def _fit(epochs: Sequence[TimedEpoch]) -> Tuple[Dict[str, float], List[float]]:
    """Shares of the rows, and the drift in each while."""
    width = EPOCHS_IN_A_BIN * median(epoch.seconds for epoch in epochs)
    states = {state: i for i, state in enumerate(sorted({epoch.state for epoch in epochs}))}
    whiles = {begin: i for i, begin in enumerate(sorted({_middle(e) // width for e in epochs}),
                                                 len(states))}
    places = np.array([(states[e.state], whiles[_middle(e) // width]) for e in epochs])
    logs = np.log([epoch.seconds for epoch in epochs])

    def residuals(x: np.ndarray) -> np.ndarray:
        drift = x[len(states):]
        # Of all explanations the one in which the machine changes least; on average it does not.
        return np.concatenate([x[places[:, 0]] + x[places[:, 1]] - logs, np.diff(drift),
                               [drift.mean()]])

    start = np.concatenate([np.full(len(states), logs.mean()), np.zeros(len(whiles))])
    found = least_squares(residuals, start, loss='huber', f_scale=TYPICAL).x
    cost = {state: float(np.exp(found[i])) for state, i in states.items()}
    seconds: Dict[str, Dict[int, float]] = {}
    for epoch in epochs:
        of_row = seconds.setdefault(epoch.row, {})
        of_row[epoch.seed] = of_row.get(epoch.seed, 0.) + cost[epoch.state]
    base = seconds['base']
    shares = {row: mean(of_row[seed] / base[seed] for seed in of_row)
              for row, of_row in seconds.items()}
    return shares, np.exp(found[len(states):]).tolist()


def _middle(epoch: TimedEpoch) -> float:
    return epoch.ended - epoch.seconds / 2


def _ends(values: Sequence[float]) -> Tuple[float, float]:
    return min(values), max(values)

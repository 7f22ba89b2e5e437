"""In which order the parts of a protocol run."""
from typing import Iterator, List, Sequence, Tuple

from .rows import Row


def interleaved(rows: Sequence[Row], seeds: int) -> Iterator[Tuple[Row, int]]:
    """For each seed all rows, in an order that turns from seed to seed.

    A machine that drifts does not hit the same row each time then. Over all seeds the order turns
    once round. A row that needs the seconds of others comes behind them.

    Args:
        rows (Sequence[Row]): The rows.
        seeds (int): Number of seeds.

    Yields:
        tuple[Row, int]: A row and a seed.
    """
    for seed in range(seeds):
        first = seed * len(rows) // seeds
        waiting: List[Row] = [*rows[first:], *rows[:first]]
        trained: List[str] = []
        while waiting:
            row = next(row for row in waiting if set(row.needs) <= set(trained))
            waiting.remove(row)
            trained.append(row.name)
            yield row, seed

"""Numbers over several runs, and how numbers are written."""
from math import floor, isfinite, log10
from statistics import mean, stdev
from typing import Optional, Sequence, Tuple


def mean_and_deviation(values: Sequence[Optional[float]]
                       ) -> Tuple[Optional[float], Optional[float]]:
    """Mean and standard deviation (of the sample) of some numbers.

    Args:
        values (Sequence[float | None]): The numbers.

    Returns:
        tuple[float | None, float | None]: Both are None if there are no numbers or one is None; the
        deviation of a single number is.
    """
    if not values or None in values:
        return None, None
    middle = mean(values)
    return middle, stdev(values) if len(values) > 1 and isfinite(middle) else None


def number(value: Optional[float], digits: int) -> str:
    """A number with so many decimals; a dash for None."""
    return '-' if value is None else f'{value:.{digits}f}'


def spread(mean: Optional[float], deviation: Optional[float], digits: int) -> str:
    """A mean with its standard deviation, if there is one; a dash if there is no mean.

    A deviation below 10 has at least one decimal.
    """
    if not deviation:
        return number(mean, digits)
    return f'{mean:.{digits}f} ± {deviation:.{max(digits, int(deviation < 10))}f}'


def decimals(value: Optional[float], figures: int = 3) -> int:
    """How many decimals show so many significant figures of a number."""
    return max(0, figures - 1 - floor(log10(abs(value)))) if value else 0

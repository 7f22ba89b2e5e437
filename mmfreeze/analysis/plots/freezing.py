"""Which layers were frozen when, and what the policy saw of the others, as a picture."""
from typing import Dict, List, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..course import SIGNALS, Course, course_of
from ..runs import Run, labels
from .style import FROZEN, MARKERS, TRAINED, plain

COLUMNS = 3
# Rises in lightness, and has neither the blue nor the grey of cells without a signal.
SIGNAL_MAP = 'inferno'
# Where the largest value is so many times the smallest, a few large ones would leave the rest dark.
LOGARITHMIC = 3
CELL = dict(edgecolors='white', linewidth=.4)


def freezing_figure(runs: Sequence[Run]) -> Figure:
    """Draws which layers each run trained when, and how long its epochs took.

    A cell is a layer from one decision to the next: grey where it was frozen, else in the colour of
    what the policy looked at behind it, or blue where it looked at nothing. Each decision is
    marked where it put the bound of the frozen layers, by what it was bound by.

    Args:
        runs (Sequence[Run]): The runs.

    Returns:
        Figure: A panel for each run.

    Raises:
        ValueError: Of a run nothing is recorded yet.
    """
    courses = [course_of(run.record) for run in runs]
    norms = {name: _norm(name, courses) for name in SIGNALS
             if any(course.signal == name for course in courses)}
    reasons = list(dict.fromkeys(move.reason for course in courses for move in course.moves))
    longest = max((epoch['train_seconds'] for run in runs for epoch in run.record.epochs),
                  default=0)
    columns = min(len(runs), COLUMNS)
    rows = -(-len(runs) // columns)
    figure = Figure(figsize=(3.4 * columns + 1 + .8 * len(norms), 4.3 * rows + .5),
                    layout='constrained')
    axes = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[3, 1.2] * rows)
    uppers, lowers = axes[::2].flatten(), axes[1::2].flatten()
    for upper, lower, run, label, course in zip(uppers, lowers, runs, labels(runs), courses):
        _draw_layers(upper, course, len(run.record.layers), norms, reasons)
        _draw_seconds(lower, run, longest)
        lower.sharex(upper)
        upper.tick_params(labelbottom=False)
        upper.set_title(f'{plain(label)}\n{run.record.policy["type"]}'
                        + f', {run.progress} epochs' * (run.finished is False), fontsize=9)
        lower.set_xlabel(f'training so far / {course.unit}')
    for unused in (*uppers[len(runs):], *lowers[len(runs):]):
        unused.set_axis_off()
    for name, norm in norms.items():
        figure.colorbar(ScalarMappable(norm, SIGNAL_MAP), ax=list(uppers), label=SIGNALS[name],
                        aspect=30)
    figure.legend(handles=_legend(reasons), loc='outside lower center', ncols=min(4, 2 * columns),
                  frameon=False, fontsize=9)
    return figure


def _norm(name: str, courses: Sequence[Course]) -> Normalize:
    """The colour scale that the runs with a signal share."""
    values = np.array([value for course in courses if course.signal == name
                       for interval in course.intervals for value in interval.signal or ()
                       if value is not None], dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        return Normalize()
    least, most = values[values > 0].min(initial=np.inf), values.max()
    if most < LOGARITHMIC * least:
        return Normalize(values.min(), most)
    return LogNorm(least, most, clip=True)  # clipped, since a logarithm leaves no colour for zero


def _draw_layers(axis: Axes, course: Course, num_layers: int, norms: Dict[str, Normalize],
                 reasons: Sequence[str]) -> None:
    times = [0, *(interval.end for interval in course.intervals)]
    layers = np.arange(num_layers + 1) - .5
    frozen = np.array([[layer < interval.num_frozen for interval in course.intervals]
                       for layer in range(num_layers)])
    axis.pcolormesh(times, layers, frozen, vmin=0, vmax=1,
                    cmap=ListedColormap([TRAINED, FROZEN]), **CELL)
    if course.signal is not None:
        seen = np.array([interval.signal or [None] * num_layers for interval in course.intervals],
                        dtype=float).T
        seen[frozen] = np.nan
        axis.pcolormesh(times, layers, np.ma.masked_invalid(seen), norm=norms[course.signal],
                        cmap=SIGNAL_MAP, **CELL)
    for move in course.moves:
        axis.plot(move.time, move.num_frozen - .5, **_mark(move.reason, reasons), clip_on=False)
    axis.set_ylabel('layer (0 = input)')
    axis.yaxis.get_major_locator().set_params(integer=True)


def _draw_seconds(axis: Axes, run: Run, longest: float) -> None:
    seconds = [epoch['train_seconds'] for epoch in run.record.epochs]
    if not seconds:  # an iteration loop
        axis.set_yticks([])
        axis.text(.5, .5, 'no epochs', ha='center', va='center', transform=axis.transAxes)
        return
    axis.step(range(len(seconds) + 1), [seconds[0], *seconds], color=TRAINED)
    axis.set_ylim(0, 1.1 * longest)
    axis.set_ylabel('epoch / s')


def _mark(reason: str, reasons: Sequence[str]) -> dict:
    return dict(marker=MARKERS[reasons.index(reason) % len(MARKERS)], markersize=5,
                markerfacecolor='white', markeredgecolor='black', linestyle='none')


def _legend(reasons: Sequence[str]) -> List[object]:
    return [Patch(color=TRAINED, label='trained, no signal looked at'),
            Patch(color=FROZEN, label='frozen'),
            *(Line2D([], [], label=reason, **_mark(reason, reasons)) for reason in reasons)]

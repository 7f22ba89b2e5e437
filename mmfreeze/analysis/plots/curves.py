"""What runs did over their wall clock, as a picture."""
from typing import Dict, List, Sequence, Tuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..runs import Run, group_runs, labels
from ..tables import shown_metrics
from .style import line_style, marker_style, plain

# From how many seconds on an axis counts in what.
UNITS = ((2 * 3600, 3600, 'h'), (300, 60, 'min'), (0, 1, 's'))
# What ends the lines of a run that goes on.
RING = dict(marker='o', markersize=11, markerfacecolor='none', color='#555555')
MARKERS_OF_A_LINE = 8
EPOCH_TIME, FROZEN_LAYERS, MEMORY = 'epoch / s', 'frozen layers', 'peak memory / MiB'
# Seconds of training, and what was then.
Points = List[Tuple[float, float]]


def curves_figure(runs: Sequence[Run]) -> Figure:
    """Draws epoch time, frozen layers, quality and memory of runs over their training's wall clock.

    Runs that share a config share their colour. The lines of a run that is not finished end in a
    ring.

    Args:
        runs (Sequence[Run]): The runs.

    Returns:
        Figure: Three panels, or four if memory was logged.

    Raises:
        ValueError: No run has an epoch.
    """
    if not any(run.seconds for run in runs):
        raise ValueError(f'{", ".join(labels(runs))}: no epoch is finished yet')
    longest = max(run.seconds[-1] for run in runs if run.seconds)
    _, second, unit = next(of for of in UNITS if longest >= of[0])
    styles = {id(run): {**line_style(i), **marker_style(i)}
              for i, group in enumerate(group_runs(runs)) for run in group}
    panels = _panels(runs)
    rows, columns = (2, 2) if len(panels) == 4 else (1, 3)
    figure = Figure(figsize=(4.2 * columns, 3.8 * rows + .6), layout='constrained')
    places = figure.subplots(rows, columns).flat
    for axis, (title, curves) in zip(places, panels.items()):
        for run, points in zip(runs, curves):
            points = [(time / second, value) for time, value in points]
            axis.plot(*zip(*points), markevery=max(1, len(points) // MARKERS_OF_A_LINE),
                      drawstyle='steps-pre' if title == FROZEN_LAYERS else 'default',
                      **styles[id(run)])
            if run.finished is False and points:
                axis.plot(*points[-1], **dict(RING, color=styles[id(run)]['color']))
        axis.set(xlabel=f'training so far / {unit}', ylabel=title,
                 xlim=(0, 1.03 * longest / second))
        if title in (EPOCH_TIME, MEMORY):
            axis.set_ylim(bottom=0)
    handles = [Line2D([], [], **styles[id(run)], label=plain(label)
                      + f' ({run.progress} epochs)' * (run.finished is False))
               for run, label in zip(runs, labels(runs))]
    if any(run.finished is False for run in runs):
        handles.append(Line2D([], [], label='not finished', **RING, linestyle='none'))
    figure.legend(handles=handles, loc='outside lower center', ncols=3, frameon=False, fontsize=8)
    return figure


def _panels(runs: Sequence[Run]) -> Dict[str, List[Points]]:
    """Title of each panel, and the points of each run in it."""
    metrics = shown_metrics([run.record for run in runs])
    quality = 'AP50' if 'AP50' in metrics else next(iter(metrics))
    panels = {
        EPOCH_TIME: [_by_epoch(run, 'train_seconds') for run in runs],
        FROZEN_LAYERS: [_by_epoch(run, 'num_frozen') for run in runs],
        quality: [_by_validation(run, metrics[quality]) for run in runs]}
    memory = [[(time, peak) for time, peak in zip(run.seconds, run.memory) if peak is not None]
              for run in runs]
    if any(memory):
        panels[MEMORY] = memory
    return panels


def _by_epoch(run: Run, key: str) -> Points:
    return [(time, epoch[key]) for time, epoch in zip(run.seconds, run.record.epochs)]


def _by_validation(run: Run, key: str) -> Points:
    times = dict(zip((epoch['epoch'] for epoch in run.record.epochs), run.seconds))
    return [(times[v['epoch']], metrics[key]) for v in run.record.validations
            if v['epoch'] in times and key in (metrics := run.record.metrics(v['epoch']))]

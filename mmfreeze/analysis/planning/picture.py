"""A plan as a picture."""
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmfreeze.analysis.plots.style import COLOURS, save_figure

from .plan import Plan, Planned

STYLES = ('-', '--', '-.', ':')
# In layers.
APART = .05


def plot_plan(plan: Plan, title: str, path: Union[str, Path]) -> None:
    """Draws how many layers each policy freezes when, and what the run has saved by then.

    Of policies that only training shows, the band between their bounds is drawn.

    Args:
        plan (Plan): The prediction.
        title (str): What is planned.
        path (str | Path): The picture to write; its suffix says the format.
    """
    figure = Figure(figsize=(10.4, 4.4), layout='constrained')
    frozen, time = figure.subplots(1, 2)
    base = Planned(None, plan.base, plan.base, False)
    length = plan.length
    # The last one may end early.
    epochs = np.minimum(np.arange(length.passes + 1), length.max_iters / length.iterations)
    handles = []
    for number, (name, planned) in enumerate(
            [('base', base), *((p.row.name, p) for p in plan.policies)]):
        style = dict(color=COLOURS[number % len(COLOURS)], linewidth=1.3,
                     linestyle=STYLES[number % len(STYLES)])
        # From nothing on a band would cover the picture.
        courses = [planned.fastest] if planned.open else [planned.slowest, planned.fastest]
        handles.append(Line2D([], [], label=f'{name}, at most' if planned.open else name, **style))
        # Lines that coincide stand side by side.
        layers = [np.array([*course.frozen, course.frozen[-1]]) + APART * number
                  for course in courses]
        saved = [np.cumsum([0., *np.subtract(plan.base.seconds, course.seconds)])
                 for course in courses]
        for axis, lines, step in ((frozen, layers, 'post'), (time, saved, None)):
            if len(lines) > 1 and planned.adaptive:
                axis.fill_between(epochs, *lines, step=step, color=style['color'], alpha=.12,
                                  linewidth=0)
            for values in lines:
                axis.plot(epochs, values, drawstyle='steps-post' if step else None, **style)
    frozen.set_ylabel('frozen layers')
    time.set_ylabel('training time saved so far / s')
    for axis in (frozen, time):
        axis.set_xlabel('epochs trained')
        axis.set_xlim(0, epochs[-1])
        axis.grid(alpha=.25)
    figure.suptitle(title, fontsize=9)
    figure.legend(handles=handles, loc='outside right upper', frameon=False, fontsize=8)
    save_figure(figure, path)

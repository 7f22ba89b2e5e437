"""A plan as a picture."""
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmfreeze.analysis.protocol.picture import COLOURS

from .plan import Plan, Planned

STYLES = ('-', '--', '-.', ':')


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
    epochs = np.arange(plan.length.passes + 1)
    handles = []
    for number, (name, planned) in enumerate(
            [('base', base), *((p.row.name, p) for p in plan.policies)]):
        colour, line = COLOURS[number % len(COLOURS)], STYLES[number % len(STYLES)]
        handles.append(Line2D([], [], color=colour, linestyle=line, label=name))
        courses = (planned.slowest, planned.fastest)
        layers = [[*course.frozen, course.frozen[-1]] for course in courses]
        saved = [np.cumsum([0., *np.subtract(plan.base.seconds, course.seconds)])
                 for course in courses]
        for axis, pair, step in ((frozen, layers, 'post'), (time, saved, None)):
            style = dict(color=colour, linestyle=line, linewidth=1.3)
            if planned.adaptive:
                axis.fill_between(epochs, *pair, step=step, color=colour, alpha=.15, linewidth=0)
            for values in pair[:1 + planned.adaptive]:
                axis.plot(epochs, values, drawstyle='steps-post' if step else None, **style)
    frozen.set_ylabel('frozen layers')
    time.set_ylabel('training time saved so far / s')
    for axis in (frozen, time):
        axis.set_xlabel('epochs trained')
        axis.set_xlim(0, plan.length.passes)
        axis.grid(alpha=.25)
    figure.suptitle(title, fontsize=9)
    figure.legend(handles=handles, loc='outside right upper', frameon=False, fontsize=8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)

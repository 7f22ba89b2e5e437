"""Which layers were frozen when, as a picture."""
from typing import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..runs import Run
from .style import FROZEN, TRAINED


def freezing_figure(runs: Sequence[Run]) -> Figure:
    """Draws which layers each run trained in which epoch, and how long its epochs took.

    Args:
        runs (Sequence[Run]): The runs, left to right.

    Returns:
        Figure: A panel for each run.

    Raises:
        ValueError: A run has no epochs.
    """
    figure = Figure(figsize=(3.2 * len(runs) + .8, 4.2), layout='constrained')
    axes = figure.subplots(2, len(runs), squeeze=False, sharex='col', sharey='row',
                           height_ratios=[3, 1.4])
    for (upper, lower), run in zip(axes.T, [run.record for run in runs]):
        run.require_epochs()
        epochs = [epoch['epoch'] for epoch in run.epochs]
        edges = [epochs[0] - .5] + [epoch + .5 for epoch in epochs]
        num_layers = len(run.layers)
        frozen = np.array([[layer < epoch['num_frozen'] for epoch in run.epochs]
                           for layer in range(num_layers)])
        upper.pcolormesh(edges, np.arange(num_layers + 1) - .5, frozen, vmin=0, vmax=1,
                         cmap=ListedColormap([TRAINED, FROZEN]), edgecolors='white', linewidth=.4)
        upper.set_title(f'{run.name}\n({run.policy["type"]})', fontsize=9)
        lower.step(edges, [run.epochs[0]['train_seconds']]
                   + [epoch['train_seconds'] for epoch in run.epochs], color=TRAINED)
        lower.set_ylim(bottom=0)
        lower.set_xlabel('epoch')
    axes[0, 0].set_ylabel('layer (0 = input)')
    axes[1, 0].set_ylabel('training / s')
    handles = [Patch(color=TRAINED, label='trained'), Patch(color=FROZEN, label='frozen')]
    figure.legend(handles=handles, loc='outside lower center', ncols=2, frameon=False)
    return figure

"""The similarity of layers as a heat map."""
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mmfreeze.analysis.plots.style import save_figure

from .similarity import Similarity

MOST_LABELS = 16


def plot_similarity(similarity: Similarity, path: Union[str, Path]) -> None:
    """Draws CKA by layers and checkpoints, where layers settled, and where they froze.

    Args:
        similarity (Similarity): What was found.
        path (str | Path): The picture to write; its suffix says the format.
    """
    layers, times = len(similarity.layers), similarity.times
    values = np.ma.masked_invalid(np.array(similarity.cka, dtype=float))
    size = np.clip(.42 * len(times) + 2.2, 5.2, 11), np.clip(.24 * layers + 1.9, 3.4, 9)
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots()
    # Dark to light in one direction for all kinds of colour vision.
    mesh = axes.pcolormesh(np.arange(len(times) + 1) - .5, np.arange(layers + 1) - .5, values,
                           vmin=0, vmax=1, cmap='cividis')
    figure.colorbar(mesh, ax=axes, label='linear CKA to the final model')
    settled = [similarity.settled(layer) for layer in range(layers)]
    edges = [np.nan if index is None else index - .5 for index in settled]
    axes.stairs(edges, np.arange(layers + 1) - .5, orientation='horizontal', baseline=None,
                color='black', linewidth=1.6, path_effects=[withStroke(linewidth=3.6,
                                                                       foreground='white')],
                label=f'settled: at or above {similarity.threshold:g} from here on')
    freezing = similarity.freezing
    if freezing is not None and any(after is not None for after in freezing.after):
        frozen = [(similarity.last_before(after), layer)
                  for layer, after in enumerate(freezing.after) if after is not None]
        axes.plot([-.5 if index is None else index + .5 for index, _ in frozen],
                  [layer for _, layer in frozen], linestyle='none', marker='D', markersize=5,
                  color='#d55e00', markeredgecolor='white', clip_on=False, zorder=3,
                  label=f'frozen by {freezing.run} ({freezing.policy})')
    step = -(-len(times) // MOST_LABELS)
    axes.set_xticks(range(0, len(times), step), [str(time) for time in times[::step]])
    axes.set_yticks(range(0, layers, -(-layers // MOST_LABELS)))
    axes.set_xlabel(similarity.unit)
    axes.set_ylabel('layer (0 = input)')
    figure.legend(loc='outside lower center', frameon=False, fontsize=8)
    save_figure(figure, path)

"""The protocol's results as a picture."""
from pathlib import Path
from typing import Dict, List, Sequence, Union

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmfreeze.analysis.plots.style import line_style, marker_style, save_figure

from .figures import Figures


def plot_protocol(parts: Sequence[Figures], path: Union[str, Path]) -> None:
    """Draws how long the epochs of each row took, and what it had reached after how long.

    Args:
        parts (Sequence[Figures]): Those of each row and seed. Epochs are drawn as means over the
            seeds, validations seed by seed.
        path (str | Path): The picture to write; its suffix says the format.
    """
    rows: Dict[str, List[Figures]] = {}
    for part in parts:
        rows.setdefault(part.row, []).append(part)
    handles = []
    figure = Figure(figsize=(10.4, 4.4), layout='constrained')
    epochs, quality = figure.subplots(1, 2)
    for number, (row, seeds) in enumerate(rows.items()):
        style, marker = line_style(number), marker_style(number)
        handles.append(Line2D([], [], label=row, **style, **marker))
        # Compressed rows may have another number of epochs with each seed.
        length = min(len(part.seconds) for part in seeds)
        seconds = np.mean([part.seconds[:length] for part in seeds], axis=0)
        epochs.plot(range(1, length + 1), seconds, **style)
        for part in seeds:
            if part.validations:
                quality.plot(*zip(*part.validations), alpha=.8, **style, **marker)
    epochs.set_xlabel('epoch')
    epochs.set_ylabel('training / s')
    epochs.set_ylim(bottom=0)
    quality.set_xlabel('training so far / s')
    quality.set_ylabel('AP50')
    quality.set_xlim(left=0)
    figure.legend(handles=handles, loc='outside right upper', frameon=False, fontsize=8)
    save_figure(figure, path)

"""Pictures of runs."""
from pathlib import Path
from typing import Any, Dict, Sequence, Union

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .timeline import RunRecord

# Blue and light grey differ in lightness too, so that colour vision does not matter.
TRAINED, FROZEN = '#1f5fa8', '#d5d9de'


def plot_freezing(runs: Sequence[RunRecord], path: Union[str, Path]) -> None:
    """Draws which layers each run trained in which epoch, and how long its epochs took.

    Args:
        runs (Sequence[RunRecord]): The runs, left to right.
        path (str | Path): The picture to write; its suffix says the format.

    Raises:
        ValueError: A run has no epochs.
    """
    figure = Figure(figsize=(3.2 * len(runs) + .8, 4.2), layout='constrained')
    axes = figure.subplots(2, len(runs), squeeze=False, sharex='col', sharey='row',
                           height_ratios=[3, 1.4])
    for (upper, lower), run in zip(axes.T, runs):
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
    _save(figure, path)


def plot_benchmark(result: Dict[str, Any], path: Union[str, Path]) -> None:
    """Draws what an iteration costs against the number of frozen layers.

    Args:
        result (dict): See :func:`~mmfreeze.analysis.benchmark.report.benchmark_table`.
        path (str | Path): The picture to write; its suffix says the format.
    """
    figure = Figure(figsize=(8.4, 3.6), layout='constrained')
    times, shares = figure.subplots(1, 2)
    counts = result['counts']
    frozen = [count['num_frozen'] for count in counts]
    for key, label, style in (('iteration', 'measured', '-o'), ('ideal', 'ideal', '--s')):
        middle, lower, upper = (np.array([count[key][of] * 1e3 for count in counts])
                                for of in ('median', 'lower', 'upper'))
        times.errorbar(frozen, middle, yerr=(middle - lower, upper - middle), fmt=style,
                       color=TRAINED if key == 'iteration' else 'black', label=label, capsize=3)
    times.set_ylabel('iteration / ms')
    values = {'time': ([count['iteration']['median'] for count in counts], '-o'),
              'FLOPs': ([sum(count['flops'].values()) for count in counts], '--s'),
              f'memory ({result["memory"]})': ([count['memory'] for count in counts], ':^'),
              'reduced bytes': ([count['reduced'] for count in counts], '-.d')}
    for label, (numbers, style) in values.items():
        shares.plot(frozen, np.array(numbers) / numbers[0], style, label=label)
    shares.set_ylabel('share of the un-frozen')
    for axis in (times, shares):
        axis.set_ylim(bottom=0)
        axis.set_xlabel(f'frozen layers of {result["num_layers"]}')
        axis.legend(frameon=False)
    figure.suptitle(f'{result["config"]}, {result["images"]} images, {result["device"]}',
                    fontsize=9)
    _save(figure, path)


def _save(figure: Figure, path: Union[str, Path]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)

"""What freezing costs and saves in an iteration, as a picture."""
from pathlib import Path
from typing import Any, Dict, Union

import numpy as np
from matplotlib.figure import Figure

from .style import TRAINED, save_figure


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
    save_figure(figure, path)

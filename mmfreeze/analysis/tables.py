"""Tables of runs, in the terms of the paper."""
from statistics import mean
from typing import Dict, List, Sequence

from .timeline import RunRecord

# The metrics that a table shows under which heading: those of detectors, or of classifiers.
DETECTION = {'AP': 'bbox_mAP', 'AP50': 'bbox_mAP_50', 'AR@10': 'AR@10'}
CLASSIFICATION = {'top-1 (%)': 'top1'}


def epoch_table(run: RunRecord) -> str:
    """A run epoch by epoch, for the terminal.

    Args:
        run (RunRecord): Its record.

    Returns:
        str: One line for each epoch: frozen layers, seconds of training, metrics where validated.
    """
    shown = _shown_metrics([run])
    rows = [['epoch', f'frozen of {len(run.layers)}', 'train s', *shown]]
    for epoch in run.epochs:
        metrics = run.metrics(epoch['epoch'])
        rows.append([str(epoch['epoch']), str(epoch['num_frozen']), f'{epoch["train_seconds"]:.1f}',
                     *(f'{metrics[key]:.3f}' if key in metrics else ''
                       for key in shown.values())])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(row, widths))
                     for row in rows)


def comparison_table(runs: Sequence[RunRecord]) -> str:
    """Runs side by side, in the columns of Tang et al. 2024, as markdown.

    Args:
        runs (Sequence[RunRecord]): The first one is what the others are compared with.

    Returns:
        str: For each run the seconds of its first, middle and last epoch, their mean and total
        (validation apart), the metrics of the last validation, and the speed-up (``-`` for a run
        with another number of epochs).

    Raises:
        ValueError: A run has no epochs.
    """
    shown = dict(reversed(_shown_metrics(runs).items()))
    lines = ['| run | policy | epoch first / middle / last (s) | mean epoch (s) | total (s) '
             f'| {" | ".join(shown)} | speed-up |', '|---|---|---|' + '--:|' * (3 + len(shown))]
    base = None
    for run in runs:
        run.require_epochs()
        seconds: List[float] = [epoch['train_seconds'] for epoch in run.epochs]
        base = base or seconds
        # Only of as many epochs: an interrupted run is not a fast one.
        speed_up = f'{sum(base) / sum(seconds):.2f}' if len(seconds) == len(base) else '-'
        metrics = run.metrics()
        numbers = [f'{metrics[key]:.3f}' if key in metrics else '-' for key in shown.values()]
        trio = ' / '.join(f'{s:.2f}' for s in (seconds[0], seconds[len(seconds) // 2], seconds[-1]))
        lines.append(f'| {run.name} | {run.policy["type"]} | {trio} | {mean(seconds):.2f} '
                     f'| {sum(seconds):.1f} | {" | ".join(numbers)} | {speed_up} |')
    return '\n'.join(lines)


def _shown_metrics(runs: Sequence[RunRecord]) -> Dict[str, str]:
    of_classifiers = any(key in run.metrics() for run in runs for key in CLASSIFICATION.values())
    return CLASSIFICATION if of_classifiers else DETECTION

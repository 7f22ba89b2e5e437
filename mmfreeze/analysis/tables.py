"""Tables of runs, in the terms of the paper."""
from statistics import mean
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .markdown import table_head, table_line
from .numbers import decimals, mean_and_deviation, number, spread
from .runs import Run, group_runs, labels
from .timeline import RunRecord

# The metrics that a table shows under which heading: those of detectors, or of classifiers.
DETECTION = {'AP': 'bbox_mAP', 'AP50': 'bbox_mAP_50', 'AR@10': 'AR@10'}
CLASSIFICATION = {'top-1 (%)': 'top1'}
# The published run's epochs, of which the paper prints three.
PAPER_EPOCHS, PAPER_SHOWN = 65, (1, 31, 61)
# Fewer seeds than this say nothing of whether two trainings are equally good.
ENOUGH_SEEDS = 3
EPOCH_SECONDS = ('first_epoch_seconds', 'middle_epoch_seconds', 'last_epoch_seconds')
# Decimals of a comparison's numbers; seconds have three figures instead.
DIGITS = {**dict.fromkeys(DETECTION, 3), **dict.fromkeys(CLASSIFICATION, 2), 'speed_up': 2,
          'frozen': 0, 'peak_memory_mib': 0}


def shown_epochs(epochs: int) -> Tuple[int, int, int]:
    """The three epochs whose seconds a table shows, as the paper does.

    Args:
        epochs (int): Epochs of the training, at least 1.

    Returns:
        tuple[int, int, int]: 1, 31 and 61 of 65; of others, the first, middle and last one.
    """
    return PAPER_SHOWN if epochs == PAPER_EPOCHS else (1, epochs // 2 + 1, epochs)


def shown_metrics(runs: Sequence[RunRecord]) -> Dict[str, str]:
    """The metrics that fit these runs, by their headings.

    Args:
        runs (Sequence[RunRecord]): Records of detectors, or of classifiers.

    Returns:
        dict[str, str]: ``CLASSIFICATION`` or ``DETECTION``.
    """
    of_classifiers = any(key in run.metrics() for run in runs for key in CLASSIFICATION.values())
    return CLASSIFICATION if of_classifiers else DETECTION


def epoch_table(run: RunRecord) -> str:
    """A run epoch by epoch, for the terminal.

    Args:
        run (RunRecord): Its record.

    Returns:
        str: One line for each epoch: frozen layers, seconds of training, metrics where validated.
    """
    shown = shown_metrics([run])
    rows = [['epoch', f'frozen of {len(run.layers)}', 'train s', *shown]]
    for epoch in run.epochs:
        metrics = run.metrics(epoch['epoch'])
        rows.append([str(epoch['epoch']), str(epoch['num_frozen']), f'{epoch["train_seconds"]:.1f}',
                     *(f'{metrics[key]:.3f}' if key in metrics else ''
                       for key in shown.values())])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(row, widths))
                     for row in rows)


def comparison(runs: Sequence[Run]) -> Dict[str, Any]:
    """Compares runs, in the columns of Tang et al. 2024.

    Every run is compared with the run of the same seed in the group of the first one (see
    :func:`~mmfreeze.analysis.runs.group_runs`); where that group has no such run, with the first
    one. Where the two have not recorded equally many epochs, or are unfinished, the speed-up is
    over the first epochs that both have.

    Args:
        runs (Sequence[Run]): At least one.

    Returns:
        dict: ``notes``, sentences on what is compared with what; ``runs`` and ``groups``, a dict
        each. A run's has its ``name`` (that tells it apart), ``path``, ``policy``, ``seed``,
        ``layers`` (how many can freeze), ``epochs``, ``planned_epochs``, ``finished``,
        ``progress`` (as ``'12 of 26'``), ``shown_epochs`` (which are the first, middle and last
        one), ``metrics_epoch``, ``compared_with`` (a name), ``speed_up_epochs`` (over how many;
        None: all), and ``numbers``. A group's has the names of its ``runs``, ``policy``,
        ``layers``, how many runs are ``counted`` (unfinished ones are not) and of how many
        ``seeds``, and ``mean`` and ``std`` (None where only one counts) of their numbers. Numbers
        are, None where unknown: seconds of the three epochs, of the mean epoch, and in total,
        validation apart; metrics by their names in tables; ``speed_up``; ``frozen`` layers at the
        end; ``peak_memory_mib``.

    Raises:
        ValueError: A run has no epochs, and no config that says how many are to come.
    """
    names = dict(zip(map(id, runs), labels(runs)))
    shown = dict(reversed(shown_metrics([run.record for run in runs]).items()))
    groups = group_runs(runs)
    of_seed = {run.seed: run for run in reversed(groups[0])}
    entries = {id(run): _run_entry(run, names, of_seed.get(run.seed, runs[0]), shown)
               for run in runs}
    summaries = [_group_entry([entries[id(run)] for run in group]) for group in groups]
    entries = list(entries.values())
    return dict(notes=_notes(entries, summaries), runs=entries, groups=summaries)


def comparison_table(comparison: Dict[str, Any]) -> str:
    """A comparison as markdown.

    Args:
        comparison (dict): What :func:`comparison` returned.

    Returns:
        str: A line for each run; the groups' means and standard deviations, if any group has more
        than one run that counts; notes.
    """
    runs, groups = comparison['runs'], comparison['groups']
    head = _headings(runs)
    lines = table_head(['run', 'policy'], ['seed', 'epochs', *head.values()])
    for run in runs:
        cells = {key: _cell(key, run['numbers'][key]) for key in head}
        cells['frozen'] += f' of {run["layers"]}'
        if run['speed_up_epochs']:
            cells['speed_up'] += f' (epochs 1 to {run["speed_up_epochs"]})'
        lines.append(table_line([run['name'], run['policy'], number(run['seed'], 0),
                                 run['progress'], *cells.values()]))
    if any(group['counted'] > 1 for group in groups):
        lines += ['', 'Mean ± standard deviation over the finished runs of the same config:', '',
                  *table_head(['runs', 'policy'], ['finished', *head.values()])]
        for group in groups:
            cells = {key: _cell(key, group['mean'][key], group['std'][key]) for key in head}
            cells['frozen'] += f' of {group["layers"]}'
            lines.append(table_line([', '.join(group['runs']), group['policy'],
                                     f'{group["counted"]} of {len(group["runs"])}',
                                     *cells.values()]))
    return '\n'.join([*lines, '', *(f'- {note}' for note in comparison['notes'])])


def _run_entry(run: Run, names: Dict[int, str], base: Run, shown: Dict[str, str]) -> Dict[str, Any]:
    if run.planned_epochs is None:
        run.record.require_epochs()
    epochs, metrics = run.record.epochs, run.record.metrics()
    seconds = {epoch['epoch']: epoch['train_seconds'] for epoch in epochs}
    trio = shown_epochs(run.planned_epochs or len(epochs))
    common = min(len(epochs), len(base.record.epochs))
    whole = (len(epochs) == len(base.record.epochs)
             and False not in (run.finished, base.finished))
    return dict(
        name=names[id(run)], path=str(run.path), policy=run.record.policy['type'], seed=run.seed,
        layers=len(run.record.layers), epochs=len(epochs), planned_epochs=run.planned_epochs,
        finished=run.finished, progress=run.progress, shown_epochs=list(trio),
        metrics_epoch=run.record.validations[-1]['epoch'] if metrics else None,
        compared_with=names[id(base)], speed_up_epochs=None if whole else common,
        numbers={
            **dict(zip(EPOCH_SECONDS, map(seconds.get, trio))),
            'mean_epoch_seconds': mean(seconds.values()) if seconds else None,
            'total_seconds': run.seconds[-1] if seconds else None,
            **{name: metrics.get(key) for name, key in shown.items()},
            # Only over as many epochs: an interrupted run is not a fast one.
            'speed_up': base.seconds[common - 1] / run.seconds[common - 1] if common else None,
            'frozen': epochs[-1]['num_frozen'] if epochs else None,
            'peak_memory_mib': max((m for m in run.memory if m is not None), default=None)})


def _group_entry(runs: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    # Without a config a run is alone, and whether it is finished not known.
    counted = [run['numbers'] for run in runs if run['finished'] is not False]
    seeds = [run['seed'] for run in runs if run['finished'] is not False]
    statistics = {key: mean_and_deviation([numbers[key] for numbers in counted])
                  for key in runs[0]['numbers']}
    return dict(
        runs=[run['name'] for run in runs], policy=runs[0]['policy'], layers=runs[0]['layers'],
        # Without a configured seed MMEngine draws another one for each run.
        counted=len(counted), seeds=len(set(seeds) - {None}) + seeds.count(None),
        mean={key: value for key, (value, _) in statistics.items()},
        std={key: value for key, (_, value) in statistics.items()})


def _notes(runs: Sequence[Dict[str, Any]], groups: Sequence[Dict[str, Any]]) -> List[str]:
    bases = list(dict.fromkeys(run['compared_with'] for run in runs))
    of = bases[0] if len(bases) == 1 else (
        f'the run of the same seed among {", ".join(bases)} (else {bases[0]})')
    notes = ['Seconds are those of the training iterations, with all that freezing does in them, '
             f"validation apart. Speed-up: those of {of} by the run's own."]
    for run in runs:
        if run['finished'] is False:
            seen = ('it has no metrics yet' if run['metrics_epoch'] is None
                    else f'its metrics are those after epoch {run["metrics_epoch"]}')
            notes.append(f'{run["name"]} is not finished ({run["progress"]} epochs): {seen}.')
    unknown = [run['name'] for run in runs if run['finished'] is None]
    if unknown:
        notes.append('Without a config in the work dir it is not known whether these are finished: '
                     f'{", ".join(unknown)}.')
    seeds = [group['seeds'] for group in groups if group['counted']]
    if len(seeds) > 1 and min(seeds) < ENOUGH_SEEDS:
        notes.append(f'Fewer than {ENOUGH_SEEDS} seeds of a config: too few to claim that any two '
                     'are equally accurate.')
    return notes


def _headings(runs: Sequence[Dict[str, Any]]) -> Dict[str, str]:
    """The shown numbers, with their headings."""
    trios = {tuple(run['shown_epochs']) for run in runs}
    names = ([f'epoch {epoch} (s)' for epoch in trios.pop()] if len(trios) == 1
             else ['first epoch (s)', 'middle epoch (s)', 'last epoch (s)'])
    known = dict(zip(EPOCH_SECONDS, names), mean_epoch_seconds='mean epoch (s)',
                 total_seconds='total (s)', speed_up='speed-up', frozen='frozen layers',
                 peak_memory_mib='peak memory (MiB)')
    head = {key: known.get(key, key) for key in runs[0]['numbers']}
    if all(run['numbers']['peak_memory_mib'] is None for run in runs):
        del head['peak_memory_mib']
    return head


def _cell(key: str, value: Optional[float], deviation: Optional[float] = None) -> str:
    digits = decimals(value) if key.endswith('_seconds') else DIGITS[key]
    if key == 'frozen' and deviation:
        digits += 1
    return spread(value, deviation, digits)

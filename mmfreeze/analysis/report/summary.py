"""What runs saved and what it cost, in sentences."""
from math import isnan
from statistics import mean
from typing import Any, Dict, List, Optional, Sequence

from ..numbers import decimals, number, spread
from ..runs import Run
from ..tables import CLASSIFICATION, DETECTION, DIGITS, ENOUGH_SEEDS

MINUS = '\N{MINUS SIGN}'


def summarise(runs: Sequence[Run], comparison: Dict[str, Any]) -> List[str]:
    """Says what was trained, and of each config what it froze, saved and cost.

    Args:
        runs (Sequence[Run]): The runs.
        comparison (dict): What :func:`~mmfreeze.analysis.tables.comparison` gave for them.

    Returns:
        list[str]: Paragraphs: the training, each group of runs, and how far to trust it all.
    """
    of_name = {entry['name']: (entry, run) for entry, run in zip(comparison['runs'], runs)}
    groups = [Group(group, [of_name[name] for name in group['runs']])
              for group in comparison['groups']]
    texts = [_trained(runs[0], comparison['runs'][0]['name'])]
    for group in groups:
        parts = [group.course(), group.unfinished()]
        parts += [group.result()] if group is groups[0] else [
            group.saving(groups[0]), group.accuracy(groups[0])]
        texts.append(' '.join(filter(None, parts)))
    if len(groups) > 1:
        texts += _trust(groups)
    return texts


class Group:
    """Runs of one config.

    Args:
        summary (dict): The group's entry in the comparison.
        members (Sequence[tuple[dict, Run]]): Its runs' entries, with the runs.
    """

    def __init__(self, summary: Dict[str, Any], members: Sequence[tuple]) -> None:
        self.entries = [entry for entry, _ in members]
        self.counted = [entry for entry in self.entries if entry['finished'] is not False]
        self.mean, self.std = summary['mean'], summary['std']
        self.layers, self.policy = summary['layers'], summary['policy']
        self.seeds = summary['seeds']
        self.record = members[0][1].record

    @property
    def name(self) -> str:
        """Names of all its runs."""
        return ', '.join(entry['name'] for entry in self.entries)

    def course(self) -> str:
        """When layers froze."""
        epochs = self.record.epochs
        who = f'{self.name} ({self.policy})' + (
            f': {self.entries[0]["name"]}' if len(self.entries) > 1 else '')
        if not epochs:
            return f'{who} has no finished epoch yet.'
        last = epochs[-1]['num_frozen']
        if not last:
            return f'{who} froze none of {self.layers} layers.'
        first = next(epoch for epoch in epochs if epoch['num_frozen'])
        most = next(epoch for epoch in epochs if epoch['num_frozen'] == last)
        text = (f'{who} had {first["num_frozen"]} of {self.layers} layers frozen from epoch '
                f'{first["epoch"]} on')
        return text + ('.' if most is first else f', {last} from epoch {most["epoch"]} on.')

    def unfinished(self) -> str:
        """Which runs are not at their end."""
        return ' '.join(f'{entry["name"]} is unfinished ({entry["progress"]} epochs).'
                        for entry in self.entries if entry['finished'] is False)

    def result(self) -> str:
        """Time and accuracy by themselves."""
        if not self.counted:
            return ''
        at_end = all(entry['metrics_epoch'] == entry['epochs'] for entry in self.counted)
        metrics = [f'{name} {self.shown(name)}' for name in self.metrics() if at_end]
        return f'Training took {_seconds(self.mean["total_seconds"])}' + (
            f'; at its end: {", ".join(metrics)}.' if metrics else '.')

    def saving(self, base: 'Group') -> str:
        """Training time against another group's."""
        # Of a group with nothing finished, that of its first run so far.
        entries = self.counted or self.entries[:1]
        speed_up = (self.mean if self.counted else entries[0]['numbers'])['speed_up']
        if speed_up is None:
            return ''
        partly = any(entry['speed_up_epochs'] for entry in entries)
        # Those that they are compared with, seed by seed, may be fewer than the other's runs.
        totals = {entry['name']: entry['numbers']['total_seconds'] for entry in base.entries}
        against = None if partly else mean(totals[entry['compared_with']] for entry in entries)
        saved = 100 * (1 - (1 / speed_up if partly else self.mean['total_seconds'] / against))
        text = (f'It saved {saved:.1f} % of the training time of {base.name}'
                if round(saved, 1) > 0 else
                f'It saved no training time: it took {abs(saved):.1f} % more than {base.name}')
        if partly:
            lengths = {entry['speed_up_epochs'] or entry['epochs'] for entry in entries}
            return text + (f', over the first {lengths.pop()} epochs of both.' if len(lengths) == 1
                           else ', each over the epochs that both have.')
        return (f'{text} ({_seconds(self.mean["total_seconds"])} against '
                f'{_seconds(against)}).')

    def accuracy(self, base: 'Group') -> str:
        """Metrics at the end against another group's."""
        metrics = [name for name in self.metrics() if base.mean[name] is not None]
        entries = self.counted + base.counted
        if not (self.counted and base.counted and metrics) or any(
                entry['metrics_epoch'] != entry['epochs'] for entry in entries):
            return 'Its accuracy is not compared, for there are not yet metrics at the end of both.'
        changes = {name: round(self.mean[name] - base.mean[name], DIGITS[name])
                   for name in metrics}
        signs = {(change > 0) - (change < 0) for change in changes.values()}
        verdict = ('Accuracy cannot be compared' if any(map(isnan, changes.values()))
                   else 'Accuracy is mixed' if signs >= {1, -1}
                   else 'It lost accuracy' if -1 in signs
                   else 'Its accuracy is higher' if 1 in signs
                   else 'Its accuracy is the same in all digits shown')
        return f'{verdict}: ' + ', '.join(
            f'{name} {self.shown(name)} against {base.shown(name)} '
            f'({_signed(change, DIGITS[name])})' for name, change in changes.items()) + '.'

    def metrics(self) -> List[str]:
        """Names of the metrics that are known of all counted runs."""
        return [name for name in (*DETECTION, *CLASSIFICATION) if self.mean.get(name) is not None]

    def shown(self, name: str) -> str:
        """A metric with its spread."""
        return spread(self.mean[name], self.std[name], DIGITS[name])


def _trained(run: Run, name: str) -> str:
    layers = len(run.record.layers)
    if run.config is None:
        return (f'{name} has no readable config, so what was trained is not known, but that it '
                f'has {layers} layers that can freeze.')
    model, data = run.config.model, run.config.train_dataloader.dataset
    while 'dataset' in data:  # a wrapper
        data = data.dataset
    backbone = model.get('backbone', {}).get('type')
    place = f' ({data.data_root})' if data.get('data_root') else ''
    return (f'{model.type}' + (f' with the backbone {backbone}' if backbone else '')
            + f', in which {layers} layers can freeze, '
            + ('is to be trained' if run.finished is False else 'was trained')
            + f' on {data.type}{place} for {run.planned_epochs} epochs.')


def _trust(groups: Sequence[Group]) -> List[str]:
    known = [group.seeds for group in groups if group.counted]
    if len(known) < 2:
        return ['Equal accuracy is not claimed: no two configs have a finished run.']
    seeds = min(known)
    if seeds >= ENOUGH_SEEDS:
        return [f'Every figure of finished runs is the mean of at least {seeds} seeds, with the '
                'standard deviation of a run.']
    return [f'There {"is but one seed" if seeds == 1 else f"are but {seeds} seeds"} of a config: '
            f'equal accuracy is not claimed, which takes {ENOUGH_SEEDS} seeds or more, and small '
            'differences mean nothing.']


def _seconds(seconds: Optional[float]) -> str:
    return f'{number(seconds, decimals(seconds))} s'


def _signed(value: float, digits: int) -> str:
    sign = '+' if value > 0 else MINUS if value < 0 else '±'
    return f'{sign}{abs(value):.{digits}f}'

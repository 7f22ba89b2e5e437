"""Puts the page together."""
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmfreeze.version import __version__

from ..plots import curves_figure, freezing_figure
from ..runs import Run
from ..tables import comparison, comparison_table
from .config_diff import config_differences
from .detections import SCORE, sample_detections
from .environment import merge_environments, read_environment
from .pictures import figure_uri
from .summary import summarise


class Column(NamedTuple):
    """A column: its heading, and whether it holds numbers."""
    name: str
    numeric: bool = False


class Table(NamedTuple):
    """A table.

    Args:
        caption (str): What it shows.
        columns (list[Column]): Its columns.
        rows (list[list[str]]): A text for each column.
    """
    caption: str
    columns: List[Column]
    rows: List[List[str]]


class Plot(NamedTuple):
    """A plot: a data URI, and what it shows in words."""
    picture: str
    text: str


def report_page(runs: Sequence[Run], images: int = 4, title: Optional[str] = None) -> str:
    """Makes a page about runs.

    Args:
        runs (Sequence[Run]): The first one is what the others are compared with.
        images (int): How many images of its validation set to show detections in. Defaults to 4.
        title (str, optional): Defaults to None: the first run's name and how many others there
            are.

    Returns:
        str: HTML that needs nothing else.

    Raises:
        ValueError: There is nothing to show of a run.
    """
    compared = comparison(runs)
    names = [entry['name'] for entry in compared['runs']]
    # What is the same for all seeds of a config is shown of its first run.
    firsts = {group['runs'][0]: runs[names.index(group['runs'][0])]
              for group in compared['groups']}
    samples, notes = sample_detections(firsts, images) if images else ([], [])
    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                       undefined=StrictUndefined).get_template('report.html.j2')
    return page.render(
        title=title or _title(list(firsts)), version=__version__,
        summary=summarise(runs, compared), notes=compared['notes'],
        tables=markdown_tables(comparison_table(compared)),
        plots=_plots(runs, firsts), samples=samples, score=SCORE, detection_notes=notes,
        settings=_settings(firsts),
        without_config=[name for name, run in firsts.items() if run.config is None],
        environment=_environment(dict(zip(names, runs))))


def _title(names: Sequence[str]) -> str:
    others = len(names) - 1
    return f'Layer freezing: {names[0]}' + (
        f' and {names[1]}' if others == 1 else f' and {others} others' if others else '')


def markdown_tables(text: str) -> List[Table]:
    """The tables of a markdown text, each with the paragraph before it as its caption."""
    tables, caption = [], ''
    for block in (block.splitlines() for block in text.split('\n\n')):
        if not block[0].startswith('|'):
            caption = ' '.join(block)
            continue
        head, aligned, *rows = ([cell.strip().replace('\\|', '|')
                                 for cell in re.split(r'(?<!\\)\|', line)[1:-1]] for line in block)
        columns = [Column(name, align.endswith(':')) for name, align in zip(head, aligned)]
        tables.append(Table(caption or 'Run by run:', columns, rows))
    return tables


def _plots(runs: Sequence[Run], firsts: Dict[str, Run]) -> List[Plot]:
    plots = [Plot(figure_uri(curves_figure(runs)),
                  'All runs over the wall clock of their training, validation apart.')]
    plots += [Plot(figure_uri(freezing_figure([run])),
                   f'{name}: which layers trained and which were frozen, epoch by epoch.')
              for name, run in firsts.items() if run.record.epochs]
    return plots


def _settings(firsts: Dict[str, Run]) -> List[Table]:
    """A table for each run whose config, and the first one's, is known."""
    (base_name, base), *others = firsts.items()
    tables = []
    for name, run in others:
        if base.config is not None and run.config is not None:
            columns = [Column('setting'), Column(base_name), Column(name)]
            tables.append(Table(f'{name} against {base_name}:', columns,
                                [list(row) for row in config_differences(base.config, run.config)]))
    return tables


def _environment(runs: Dict[str, Run]) -> List[Table]:
    """The table of what the logs tell; none if they tell nothing."""
    merged = merge_environments({name: read_environment(run.path) for name, run in runs.items()})
    rows = [[entry.name, entry.values[0][0] if len(entry.values) == 1 else '; '.join(
        f'{value} ({", ".join(names)})' for value, names in entry.values)] for entry in merged]
    return [Table('As logged at the newest start of each training:',
                  [Column('what'), Column('value')], rows)] if rows else []

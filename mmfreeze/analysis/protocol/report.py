"""The protocol's results as text."""
from typing import Dict, List, Optional, Sequence

from mmfreeze.analysis.markdown import table_head, table_line
from mmfreeze.analysis.numbers import mean_and_deviation, number, spread
from mmfreeze.analysis.tables import ENOUGH_SEEDS, PAPER_EPOCHS, PAPER_SHOWN

from .drift import Steady, without_drift
from .figures import Figures
from .rows import STORING

# Decimals of the columns of Figures.columns().
DIGITS = (0, 2, 2, 2, 2, 1, 3, 3, 3, 2, 0, 3)


def protocol_report(title: str, parts: Sequence[Figures]) -> str:
    """All tables, as markdown.

    Args:
        title (str): What was trained, on what.
        parts (Sequence[Figures]): Those of each row and seed; ``base`` with each seed among them.

    Returns:
        str: A line for every part, then mean and spread over the seeds, the same without the
        machine's drift, and the ceilings of the rows that store features.
    """
    bases = {part.seed: part for part in parts if part.row == 'base'}
    rows = list(dict.fromkeys(part.row for part in parts))
    parts = sorted(parts, key=lambda part: (rows.index(part.row), part.seed))
    text = [title, *_notes(parts), '', *_parts_table(parts, bases)]
    if len(bases) > 1:
        text += ['', *_seeds_table(parts, bases)]
    machine = without_drift(parts)
    if machine is not None:
        text += ['', *_drift_table(machine)]
    stored = [part for part in parts if part.row == 'afa+store']
    if stored:
        text += ['', *_ceilings_table(stored, bases)]
    return '\n'.join(text) + '\n'


def part_line(part: Figures, base: Optional[Figures]) -> str:
    """A part in a line, for the terminal.

    Args:
        part (Figures): Its figures.
        base (Figures, optional): Those of ``base`` with the same seed, if they are known already.
    """
    line = (f'{part.row}, seed {part.seed}: {len(part.seconds)} epochs, {part.total:.1f} s, '
            f'{part.frozen[-1]} layers frozen at the end')
    line += ''.join(f', {name} {part.metrics[name]:.3f}' for name in ('AR@10', 'AP50')
                    if name in part.metrics)
    return line if base is None else f'{line}, speed-up {base.total / part.total:.2f}'


def _notes(parts: Sequence[Figures]) -> List[str]:
    """What has to be known to read the tables."""
    notes = ['Seconds are those of training iterations with decisions and filling of the store in '
             'them, validation apart. Speed-up: seconds of base over those of the row, same seed. '
             'FLOPs: forward and backward of all iterations and of filling, as a share of base\'s.']
    seeds = len({part.seed for part in parts})
    if seeds < ENOUGH_SEEDS:
        notes.append(f'{seeds} seed{"s" * (seeds > 1)}: too few to claim that any two rows are '
                     'equally accurate.')
    if len({len(part.seconds) for part in parts}) > 1:
        notes.append('Rows of another length than base show their first, middle and last epoch.')
    empty = [f'{part.row} (seed {part.seed})' for part in parts
             if part.row in STORING and not part.fill_flops]
    if empty:
        notes.append(f'Stored nothing, so that frozen layers ran forward: {", ".join(empty)}.')
    interrupted = [f'{part.row} (seed {part.seed})' for part in parts if part.attempts > 1]
    if interrupted:
        notes.append(f'Interrupted and resumed: {", ".join(interrupted)}.')
    devices = sorted({part.device for part in parts if part.device})
    if len(devices) > 1:
        notes.append(f'**The parts ran on different devices** ({"; ".join(devices)}), so their '
                     'seconds cannot be compared.')
    return notes


def _headings(parts: Sequence[Figures]) -> List[str]:
    base = next(part for part in parts if part.row == 'base')
    of_paper = len(base.seconds) == PAPER_EPOCHS
    shown = [f'epoch {epoch} (s)' for epoch in PAPER_SHOWN] if of_paper else [
        'first epoch (s)', 'middle (s)', 'last (s)']
    kinds = {part.memory_of for part in parts if part.memory_of}
    of = f' of {" or ".join(sorted(kinds))}' if kinds else ''
    return ['epochs', *shown, 'mean epoch (s)', 'total (s)', 'AR@10', 'AP50', 'AP', 'speed-up',
            f'peak memory{of} (MB)', 'FLOPs']


def _parts_table(parts: Sequence[Figures], bases: Dict[int, Figures]) -> List[str]:
    lines = table_head(['row', 'policy', 'seed'], _headings(parts))
    for part in parts:
        cells = [number(value, digits)
                 for value, digits in zip(part.columns(bases[part.seed]), DIGITS)]
        lines.append(table_line([part.row, part.policy, str(part.seed), *cells]))
    return lines


def _seeds_table(parts: Sequence[Figures], bases: Dict[int, Figures]) -> List[str]:
    lines = [f'Mean ± standard deviation over {len(bases)} seeds:', '',
             *table_head(['row'], _headings(parts))]
    for row in dict.fromkeys(part.row for part in parts):
        columns = zip(*(part.columns(bases[part.seed]) for part in parts if part.row == row))
        lines.append(table_line([row, *(spread(*mean_and_deviation(values), digits)
                                        for values, digits in zip(columns, DIGITS))]))
    return lines


def _drift_table(machine: Steady) -> List[str]:
    slow, fast = machine.drift[1], machine.drift[0]
    lines = [f'The same epoch took {fast:.2f} to {slow:.2f} times as long as on average, by when it '
             'ran. What the rows take with that taken out, fitted to all epochs of all parts; in '
             'brackets from ... to with one seed left out:', '',
             *table_head(['row'], ['seconds, as a share of base', 'speed-up'])]
    for row, (share, low, high) in machine.shares.items():
        lines.append(table_line([row, f'{share:.3f} ({low:.3f} to {high:.3f})',
                                 f'{1 / share:.2f} ({1 / high:.2f} to {1 / low:.2f})']))
    return lines


def _ceilings_table(parts: Sequence[Figures], bases: Dict[int, Figures]) -> List[str]:
    lines = ['What the FLOPs of the run\'s own course of frozen layers would allow, if frozen '
             'layers ran neither forward nor backward:', '',
             *table_head(['row', 'seed'], ['speed-up', 'ceiling, filling free', 'reached',
                                           'ceiling, filling paid', 'reached', 'filling (s)'])]
    for part in parts:
        base = bases[part.seed]
        speed_up = base.total / part.total
        free, paid = part.ceilings(base)
        lines.append(table_line([part.row, str(part.seed), f'{speed_up:.2f}', f'{free:.3f}',
                                 f'{speed_up / free:.1%}', f'{paid:.3f}', f'{speed_up / paid:.1%}',
                                 f'{part.fill_seconds:.1f}']))
    return lines

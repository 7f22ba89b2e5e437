"""The speed-up protocol: trains all rows with all seeds, part by part, and compares them."""
import json
import sys
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from mmfreeze.utils.files import write_texts_atomic

from .costs import TrainingCosts
from .figures import Figures, figures_of
from .order import interleaved
from .part import Part
from .picture import plot_protocol
from .report import part_line, protocol_report
from .rows import Row
from .schedule import num_epochs, with_epochs
from .training import Trainer, TrainingFailed
from .turns import Turn, Turns


class Protocol:
    """All parts of a comparison, and how far they are.

    Args:
        rows (Sequence[Row]): The rows, of which one is ``base``.
        seeds (int): Each row is trained with the seeds 0 ... seeds - 1.
        out (Path): Folder for everything.
        costs (TrainingCosts): Of model and data, which all rows share.

    Raises:
        ValueError: There is no seed.
    """

    def __init__(self, rows: Sequence[Row], seeds: int, out: Path, costs: TrainingCosts) -> None:
        if seeds < 1:
            raise ValueError(f'--seeds must be at least 1, but is {seeds}')
        self.rows = {row.name: row for row in rows}
        self.seeds, self.out, self.costs = seeds, out, costs

    def order(self) -> List[Tuple[Row, int]]:
        """The parts in the order in which they run, as rows and seeds."""
        return list(interleaved(list(self.rows.values()), self.seeds))

    def part(self, row: Row, seed: int) -> Optional[Part]:
        """A part; None if what it has to be compressed into has not been trained yet."""
        cfg = row.config
        if row.time_of is not None:
            base, other = (self.part(self.rows[name], seed) for name in row.needs)
            if not (base.done and other.done):
                return None
            share = _seconds(other) / _seconds(base)
            cfg = with_epochs(cfg, max(1, round(num_epochs(cfg) * share)))
        return Part(self.out / row.folder, seed, cfg)

    def plan(self) -> str:
        """What there is to do, in words.

        Raises:
            ValueError: A part was begun with another config.
        """
        states: Counter = Counter()
        for row, seed in self.order():
            part = self.part(row, seed)
            if part is not None:
                part.require_same_config()
            states['done' if part and part.done else 'begun' if part and part.begun
                   else 'to train'] += 1
        what = ', '.join(f'{states[state]} {state}' for state in ('done', 'begun', 'to train'))
        epochs = num_epochs(self.rows['base'].config)
        return (f'{len(self.rows)} rows x {self.seeds} seeds of {epochs} epochs in {self.out}: '
                f'{what}\nrows: {"; ".join(self.rows)}')

    def run(self, trainer: Trainer, say: Callable[[str], None]) -> None:
        """Trains what is not done yet.

        A part that fails holds up only those that have to be compressed into its seconds.

        Args:
            trainer (Trainer): Trains parts, as many at a time as it may.
            say (Callable): Takes a line for each part, and the last ones of a part that failed.

        Raises:
            TrainingFailed: At the end: parts did not come to theirs.
            ValueError: A part was begun with another config.
        """
        order = self.order()
        turns = Turns([(f'[{number}/{len(order)}] ', row, seed)
                       for number, (row, seed) in enumerate(order, 1)])
        with trainer.alone(), ThreadPoolExecutor(trainer.jobs) as threads:
            try:
                while turns.waiting or turns.running:
                    while len(turns.running) < trainer.jobs and (turn := turns.next()):
                        self._begin(turn, turns, lambda part: threads.submit(trainer.train, part),
                                    say)
                    for future in wait(turns.running, return_when=FIRST_COMPLETED).done:
                        self._end(turns.running.pop(future), future, turns, say)
            except KeyboardInterrupt:
                trainer.stop()
                print('what is training was asked to stop, which it does with a checkpoint; Ctrl-C '
                      'once more kills it', file=sys.stderr)
                try:
                    wait(turns.running)
                except KeyboardInterrupt:
                    trainer.kill()
                raise
        if turns.failed:
            left_out = f'; left out: {", ".join(turns.left_out)}' * bool(turns.left_out)
            raise TrainingFailed(f'failed: {", ".join(turns.failed)}{left_out}; the same command '
                                 'tries again')

    def _begin(self, turn: Turn, turns: Turns, train: Callable[[Part], Future],
               say: Callable[[str], None]) -> None:
        """Begins a part, unless it is done or cannot be trained."""
        at, row, seed = turn
        part = self.part(row, seed)
        if part is None:
            say(f'{at}{row.name}, seed {seed}: left out, for it needs the seconds of '
                + ' and '.join(row.needs))
            turns.left_out.append(f'{row.name} (seed {seed})')
            return
        part.require_same_config()
        if part.done:
            say(f'{at}done before: {self._line(row, seed)}')
            return
        say(f'{at}{row.name}, seed {seed}: {"goes on" if part.begun else "begins"} in '
            f'{part.work_dir}')
        turns.running[train(part)] = turn

    def _end(self, turn: Turn, future: Future, turns: Turns, say: Callable[[str], None]) -> None:
        """Says how a part ended."""
        at, row, seed = turn
        try:
            future.result()
        except TrainingFailed as failure:
            say('\n'.join([f'{at}{failure}', *failure.lines]))
            turns.failed.append(f'{row.name} (seed {seed})')
        else:
            say(at + self._line(row, seed))

    def _line(self, row: Row, seed: int) -> str:
        return part_line(self.figures(row.name, seed), self.figures('base', seed))

    def figures(self, name: str, seed: int) -> Optional[Figures]:
        """The figures of a part; None if it is not done."""
        part = self.part(self.rows[name], seed)
        if part is None or not part.done:
            return None
        return figures_of(name, seed, part.record(), part.facts, self.costs)

    def write_report(self, title: str) -> str:
        """Writes ``protocol.json``, ``protocol.md`` and ``protocol.png``; all parts must be done.

        Args:
            title (str): What was trained, on what.

        Returns:
            str: The text.
        """
        parts = [self.figures(name, seed) for name in self.rows for seed in range(self.seeds)]
        bases = {part.seed: part for part in parts if part.row == 'base'}
        text = protocol_report(title, parts)
        result = dict(title=title, costs=asdict(self.costs), parts=[
            dict(asdict(part), total=part.total,
                 speed_up=bases[part.seed].total / part.total,
                 flops_share=part.flops / bases[part.seed].flops,
                 ceilings=part.ceilings(bases[part.seed])) for part in parts])
        write_texts_atomic({self.out / 'protocol.json': json.dumps(result, indent=1),
                            self.out / 'protocol.md': text})
        plot_protocol(parts, self.out / 'protocol.png')
        return text


def _seconds(part: Part) -> float:
    return sum(epoch['train_seconds'] for epoch in part.record().epochs)

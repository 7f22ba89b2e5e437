"""Reads all that a run left in its work dir: record, config, logged memory."""
import ast
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from mmengine.config import Config

from mmfreeze.utils.configs import class_name

from .scalars import read_scalars, starts
from .timeline import RunRecord, read_timeline

# Settings that say where a run lies and what it shows, not what it trains.
APART = ('work_dir', 'resume', 'log_level', 'experiment_name', 'visualizer')


@dataclass(frozen=True)
class Run:
    """A run, finished or not.

    Args:
        path (Path): Its work dir.
        record (RunRecord): What it recorded.
        config (Config, optional): What MMEngine dumped for the newest start of its training; None
            if that is not there, or not readable as a config.
        memory (list[float | None]): Peak of the device's memory in MB (of 2**20 bytes, as MMEngine
            logs them) for each recorded epoch; None where none was logged, as on a CPU.
    """
    path: Path
    record: RunRecord
    config: Optional[Config]
    memory: List[Optional[float]]

    @property
    def name(self) -> str:
        """Name of the work dir."""
        return self.record.name

    @property
    def planned_epochs(self) -> Optional[int]:
        """Epochs of the whole training; None if that is not known, or not counted in epochs."""
        return None if self.config is None else (self.config.get('train_cfg') or {}).get(
            'max_epochs')

    @property
    def seed(self) -> Optional[int]:
        """The seed that the config gives; None if it gives none, or is not known."""
        return None if self.config is None else (self.config.get('randomness') or {}).get('seed')

    @property
    def finished(self) -> Optional[bool]:
        """Whether all planned epochs are recorded, and the last one validated if the config does.

        None where ``planned_epochs`` is: then a record alone does not tell.
        """
        planned = self.planned_epochs
        if planned is None:
            return None
        if len(self.record.epochs) < planned:
            return False
        validates = (self.config.get('val_cfg') is not None
                     and self.config.train_cfg.get('val_begin', 1) <= planned)
        return not validates or any(v['epoch'] == planned for v in self.record.validations)

    @property
    def seconds(self) -> List[float]:
        """Seconds of training, validation apart, until the end of each epoch."""
        return list(accumulate(epoch['train_seconds'] for epoch in self.record.epochs))

    @property
    def progress(self) -> str:
        """Recorded epochs, as ``'26'``, or ``'12 of 26'`` if there are to be more."""
        done, planned = len(self.record.epochs), self.planned_epochs
        return f'{done}' if planned in (None, done) else f'{done} of {planned}'


def read_run(work_dir: Union[str, Path]) -> Run:
    """Reads a run.

    Args:
        work_dir (str | Path): Its work dir.

    Returns:
        Run: The run, as far as it is.

    Raises:
        FileNotFoundError: There is no such folder, or no record of a run in it.
        ValueError: It is no folder, or what lies there is not the record or the log of a run.
    """
    path = Path(work_dir)
    if path.exists() and not path.is_dir():
        raise ValueError(f'{path} is a file: give the work dir of a run')
    record = read_timeline(path)
    return Run(path, record, _read_config(path), _memory(path, record))


def read_runs(work_dirs: Sequence[Union[str, Path]]) -> List[Run]:
    """Reads several runs, see :func:`read_run`.

    Raises:
        FileNotFoundError: As there.
        ValueError: As there; or a work dir is given twice.
    """
    places = [Path(work_dir).resolve() for work_dir in work_dirs]
    for work_dir, place in zip(work_dirs, places):
        if places.count(place) > 1:
            raise ValueError(f'{work_dir} is given twice')
    return [read_run(work_dir) for work_dir in work_dirs]


def group_runs(runs: Sequence[Run]) -> List[List[Run]]:
    """Puts together the runs whose configs differ in nothing but the seed and where they lie.

    Args:
        runs (Sequence[Run]): Runs; one without a config is alone in its group.

    Returns:
        list[list[Run]]: The groups, in the order of their first runs.
    """
    groups: List[List[Run]] = []
    for run in runs:
        group = next((group for group in groups if _same_training(run, group[0])), None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    return groups


def labels(runs: Sequence[Run]) -> List[str]:
    """Names that tell the runs apart: as few last parts of their paths as that takes."""
    places = [run.path.resolve().parts for run in runs]
    count = 1
    while len({place[-count:] for place in places}) < len(set(places)):
        count += 1
    return ['/'.join(place[-count:]) for place in places]


def require_free(path: Path, runs: Sequence[Run]) -> None:
    """Checks that writing a file takes nothing from a run.

    Raises:
        ValueError: It is there already, in the work dir of one of the runs.
    """
    if path.exists() and any(path.resolve().is_relative_to(run.path.resolve()) for run in runs):
        raise ValueError(f'{path} lies in the work dir of a run and is not overwritten: choose '
                         'another --out, or remove it')


def _read_config(work_dir: Path) -> Optional[Config]:
    dumped = [start / 'vis_data/config.py' for start in reversed(starts(work_dir))]
    dumped += sorted(work_dir.glob('*.py'), key=lambda path: path.lstat().st_mtime, reverse=True)
    newest = None
    for path in filter(Path.is_file, dumped):
        try:
            # What MMEngine dumps is made of assignments; no other program is to be run.
            if not all(isinstance(part, ast.Assign) for part in ast.parse(path.read_text()).body):
                continue
            config = Config.fromfile(path, import_custom_modules=False)
        except Exception:  # it may still fail in any way
            continue
        # A test in the same work dir dumps its config too, without the hooks of training.
        if not any(class_name(hook.get('type')) == 'LayerFreezingHook'
                   for hook in config.get('custom_hooks') or []):
            continue
        newest = config if newest is None else newest
        if not config.get('resume'):
            # Resuming put the checkpoint in the place of the weights that training began with.
            newest.load_from = config.get('load_from')
            break
    return newest


def _memory(work_dir: Path, record: RunRecord) -> List[Optional[float]]:
    peaks: Dict[int, float] = {}
    for start in starts(work_dir):
        of_start: Dict[int, float] = {}
        for line in read_scalars(start):
            if 'memory' in line and 'epoch' in line:
                epoch = line['epoch']
                of_start[epoch] = max(line['memory'], of_start.get(epoch, 0))
        # Of an epoch that was begun twice the later attempt counts, as in the record.
        peaks.update(of_start)
    return [peaks.get(epoch['epoch']) for epoch in record.epochs]


def _same_training(run: Run, other: Run) -> bool:
    if run.config is None or other.config is None:
        return False
    return _settings(run.config) == _settings(other.config)


def _settings(config: Config) -> Dict[str, Any]:
    settings = {key: value for key, value in config.to_dict().items() if key not in APART}
    settings['load_from'] = settings.get('load_from')  # absent means None
    settings['randomness'] = dict(settings.get('randomness') or {}, seed=None)
    return settings

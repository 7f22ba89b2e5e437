"""One part of a protocol: a row with one seed, and the files that tell how far it is."""
import ast
import copy
import json
from pathlib import Path
from pprint import pformat
from typing import Any, Dict

from mmengine.config import Config

from mmfreeze.analysis.timeline import RunRecord, read_timeline
from mmfreeze.utils.files import write_text_atomic

from .schedule import num_epochs

TIMELINE = 'freezing_timeline.json'


class Part:
    """A training of the protocol.

    ``seed_<n>/`` is its work dir, which belongs to the training alone. Beside it lie the config
    (``.py``), what the training printed (``.log``) and what was measured from outside (``.json``).

    Args:
        folder (Path): The row's folder.
        seed (int): The seed.
        cfg (Config): The row's training; it stays as it is.
    """

    def __init__(self, folder: Path, seed: int, cfg: Config) -> None:
        cfg = copy.deepcopy(cfg)
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
        # There are many parts: the latest checkpoint is all that going on needs.
        hooks = dict(cfg.get('default_hooks') or {})
        checkpoint = hooks.get('checkpoint') or dict(type='CheckpointHook', interval=1)
        hooks['checkpoint'] = dict(checkpoint, max_keep_ckpts=1, save_best=None)
        cfg.default_hooks = hooks
        cfg.pop('work_dir', None)
        self.epochs = num_epochs(cfg)
        self.work_dir = folder / f'seed_{seed}'
        self.config, self.log, self.facts_file = (
            folder / f'seed_{seed}.{suffix}' for suffix in ('py', 'log', 'json'))
        self._text = config_text(cfg)

    @property
    def begun(self) -> bool:
        """Whether the training has ever been started."""
        return self.work_dir.exists()

    @property
    def done(self) -> bool:
        """Whether the validation behind the last epoch is recorded."""
        if not (self.work_dir / TIMELINE).is_file():
            return False
        return any(v['epoch'] == self.epochs for v in self.record().validations)

    def record(self) -> RunRecord:
        """What the training recorded so far."""
        return read_timeline(self.work_dir)

    def require_same_config(self) -> None:
        """Raises ``ValueError`` if the training was begun with another config."""
        before = self.config.read_text() if self.config.is_file() else None
        if self.begun and before != self._text:
            raise ValueError(f'{self.work_dir} was trained with another config than this protocol '
                             f'has for it ({self.config}): remove it, or choose another --out')

    def write_config(self) -> None:
        """Writes the config that the training reads."""
        self.require_same_config()
        write_text_atomic(self.config, self._text)

    @property
    def facts(self) -> Dict[str, Any]:
        """What was measured from outside.

        Returns:
            dict: ``attempts`` and ``device``, from the first attempt on; ``peak_memory`` (in bytes,
            the largest of the attempts) and ``memory_of`` (what it was measured of), if an
            attempt's end was seen.
        """
        return json.loads(self.facts_file.read_text()) if self.facts_file.is_file() else {}

    def begin_attempt(self, device: str) -> None:
        """Notes that a process of the training is about to begin, see :attr:`facts`."""
        self._note(attempts=self.facts.get('attempts', 0) + 1, device=device)

    def end_attempt(self, peak_memory: int, memory_of: str) -> None:
        """Notes what the process took, see :attr:`facts`."""
        self._note(peak_memory=max(peak_memory, self.facts.get('peak_memory', 0)),
                   memory_of=memory_of)

    def _note(self, **facts: Any) -> None:
        write_text_atomic(self.facts_file, json.dumps(dict(self.facts, **facts), indent=1))


def config_text(cfg: Config) -> str:
    """A config as a Python file, the same for equal configs.

    Raises:
        ValueError: A setting is no plain value.
    """
    lines = []
    for key, value in sorted(cfg.to_dict().items()):
        text = pformat(value, width=100)
        try:
            ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise ValueError(f'{key} of the config cannot be written as text: it has to be made of '
                             'numbers, strings, lists, tuples and dicts') from None
        lines.append(f'{key} = {text}\n')
    return ''.join(lines)

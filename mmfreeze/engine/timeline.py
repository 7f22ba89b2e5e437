"""The machine-readable record of a run: what was decided when, and what each epoch took."""
import json
import logging
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from mmengine.dist import master_only
from mmengine.logging import print_log

from mmfreeze.utils.files import write_text_atomic


class Timeline:
    """Decisions and epochs of a run, in one json file that is rewritten at each entry.

    Args:
        path (Path): The file, in the run's work dir. Only rank 0 writes it.
        policy (dict): Config of the policy.
        layers (Sequence[Sequence[str]]): Names of the layers, input first.
    """

    def __init__(self, path: Path, policy: Dict[str, Any],
                 layers: Sequence[Sequence[str]]) -> None:
        self.path = path
        self.head = dict(policy=dict(policy), layers=[list(names) for names in layers])
        self.decisions: List[Dict[str, Any]] = []
        self.epochs: List[Dict[str, Any]] = []
        self.validations: List[Dict[str, Any]] = []
        self.fills: List[Dict[str, Any]] = []

    def add_decision(self, iteration: int, epoch: int, num_frozen: int, **details: Any) -> None:
        """Notes a decision.

        Args:
            iteration (int): Iterations completed when it fell.
            epoch (int): Epochs completed.
            num_frozen (int): Number of frozen layers from then on.
            **details: What the policy said of its reasons, in plain types.
        """
        self.decisions.append(
            dict(iteration=iteration, epoch=epoch, num_frozen=num_frozen, **details))
        self._write()

    def add_epoch(self, epoch: int, num_frozen: int, train_seconds: float) -> None:
        """Notes a finished epoch, and when that was (seconds since 1970).

        Args:
            epoch (int): Its number, from 1.
            num_frozen (int): Number of layers that were frozen in it (at its end).
            train_seconds (float): Wall clock of its training iterations, validation apart.
        """
        self.epochs.append(
            dict(epoch=epoch, num_frozen=num_frozen, train_seconds=round(train_seconds, 4),
                 ended=round(time.time(), 1)))
        self._write()

    def add_validation(self, iteration: int, epoch: int, metrics: Dict[str, float]) -> None:
        """Notes a validation, in place of an earlier one of the same iteration.

        Args:
            iteration (int): Iterations completed.
            epoch (int): Epochs completed.
            metrics (dict): Its results.
        """
        self.validations = [v for v in self.validations if v['iteration'] != iteration]
        self.validations.append(dict(iteration=iteration, epoch=epoch, metrics=dict(metrics)))
        self._write()

    def add_fill(self, iteration: int, from_layer: int, to_layer: int, samples: int, bytes: int,
                 seconds: float) -> None:
        """Notes that the frozen-feature store was filled.

        Args:
            iteration (int): Iterations completed.
            from_layer (int): Number of layers behind which the features lay that it was filled
                from; 0 for images.
            to_layer (int): Number of layers whose output it holds now; 0 if it was given up.
            samples (int): Number of samples that were computed.
            bytes (int): What it takes.
            seconds (float): Wall clock; it is part of the epoch's ``train_seconds`` too.
        """
        self.fills.append(dict(iteration=iteration, from_layer=from_layer, to_layer=to_layer,
                               samples=samples, bytes=bytes, seconds=round(seconds, 4)))
        self._write()

    def state_dict(self) -> Dict[str, Any]:
        """The record so far, as plain types."""
        return dict(decisions=list(self.decisions), epochs=list(self.epochs),
                    validations=list(self.validations), fills=list(self.fills))

    def load_state_dict(self, state: Dict[str, Any], iteration: int) -> None:
        """Takes up an earlier record; what came after it is no longer part of the run.

        Args:
            state (dict): What :meth:`state_dict` gave.
            iteration (int): Iterations completed then.
        """
        self.decisions = list(state['decisions'])
        self.epochs = list(state['epochs'])
        self.validations = list(state['validations'])
        self.fills = list(state['fills'])
        self._keep_validation_after_checkpoint(iteration)
        self._write()

    def _keep_validation_after_checkpoint(self, iteration: int) -> None:
        """A checkpoint is written before the validation at its iteration: only the file has it."""
        if not self.path.is_file() or any(v['iteration'] == iteration for v in self.validations):
            return
        try:
            written = json.loads(self.path.read_bytes())['validations']
            self.validations += [v for v in written if v['iteration'] == iteration]
        except (ValueError, KeyError, TypeError):
            print_log(f'{self.path} cannot be read; the record goes on from the checkpoint, '
                      'perhaps without the validation behind it', 'current', logging.WARNING)

    @master_only
    def _write(self) -> None:
        write_text_atomic(self.path, json.dumps(dict(self.head, **self.state_dict()), indent=1))

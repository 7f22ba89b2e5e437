"""Reads the record that a run leaves in its work dir."""
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Union


@dataclass(frozen=True)
class RunRecord:
    """What ``freezing_timeline.json`` says of a run.

    Args:
        name (str): Name of the run's work dir.
        policy (dict): Config of its policy.
        layers (list[list[str]]): Names of the freezable layers, input first.
        decisions (list[dict]): Each with iteration, epoch, num_frozen and the policy's reasons.
        epochs (list[dict]): Each with epoch (from 1), num_frozen, train_seconds, and, in records
            that have it, ended (seconds since 1970).
        validations (list[dict]): Each with epoch (epochs completed) and metrics.
        fills (list[dict]): Each pass that filled the frozen-feature store, with iteration,
            from_layer, to_layer (0 where the store was given up), samples, bytes and seconds.
    """
    name: str
    policy: Dict[str, Any]
    layers: List[List[str]]
    decisions: List[Dict[str, Any]] = field(default_factory=list)
    epochs: List[Dict[str, Any]] = field(default_factory=list)
    validations: List[Dict[str, Any]] = field(default_factory=list)
    fills: List[Dict[str, Any]] = field(default_factory=list)

    def metrics(self, epoch: Optional[int] = None) -> Dict[str, float]:
        """Metrics of a validation, without their prefix.

        Args:
            epoch (int, optional): The epoch after which it was. Defaults to None: the last one.

        Returns:
            dict[str, float]: Empty if there was none.
        """
        for validation in reversed(self.validations):
            if epoch in (None, validation['epoch']):
                return {k.rpartition('/')[2]: v for k, v in validation['metrics'].items()}
        return {}

    def require_epochs(self) -> None:
        """Raises ``ValueError`` if there is no epoch to show."""
        if not self.epochs:
            raise ValueError(f'{self.name} has no finished epoch: it has only begun, or trained in '
                             'an iteration loop, of which no epochs are recorded')


def read_timeline(path: Union[str, Path]) -> RunRecord:
    """Reads a timeline.

    Args:
        path (str | Path): The file, or the work dir that holds it.

    Returns:
        RunRecord: The record.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a timeline.
    """
    path = Path(path)
    if path.is_dir():
        path = path / 'freezing_timeline.json'
    if not path.is_file():
        raise FileNotFoundError(f'there is no {path}: give the work dir of a run that had '
                                'LayerFreezingHook in its config')
    try:
        return RunRecord(name=path.resolve().parent.name, **json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path} is not the timeline of a run: {error}') from error

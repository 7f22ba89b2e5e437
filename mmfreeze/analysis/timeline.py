"""Reads the record that a run leaves in its work dir."""
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Union


@dataclass(frozen=True)
class RunRecord:
    """What ``freezing_timeline.json`` says of a run.

    Args:
        name (str): Name of the run's work dir.
        policy (dict): Config of its policy.
        layers (list[list[str]]): Names of the freezable layers, input first.
        decisions (list[dict]): Each with iteration, epoch, num_frozen and the policy's reasons.
        epochs (list[dict]): Each with epoch (from 1), num_frozen and train_seconds.
        validations (list[dict]): Each with epoch (epochs completed) and metrics.
    """
    name: str
    policy: Dict[str, Any]
    layers: List[List[str]]
    decisions: List[Dict[str, Any]] = field(default_factory=list)
    epochs: List[Dict[str, Any]] = field(default_factory=list)
    validations: List[Dict[str, Any]] = field(default_factory=list)

    def metrics(self, epoch: int) -> Dict[str, float]:
        """Metrics of the validation after an epoch, without their prefix; empty if none was."""
        for validation in reversed(self.validations):
            if validation['epoch'] == epoch:
                return {k.rpartition('/')[2]: v for k, v in validation['metrics'].items()}
        return {}


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

"""The checkpoints of a run, in the order in which they were written."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from torch import Tensor, nn

from mmfreeze.models.weights import read_checkpoint

from ..timeline import RunRecord


@dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint, whose tensors stay in its file until they are needed.

    Args:
        path (Path): The file.
        epoch (int): Epochs completed.
        iteration (int): Iterations completed.
        weights (dict[str, Tensor]): Those of the model.
        freezing (dict, optional): What ``LayerFreezingHook`` keeps of its run.
    """
    path: Path
    epoch: int
    iteration: int
    weights: Dict[str, Tensor]
    freezing: Optional[Dict[str, Any]]

    def record(self) -> Optional[RunRecord]:
        """What was frozen up to then; None of a run without ``LayerFreezingHook``."""
        if self.freezing is None:
            return None
        return RunRecord(name=self.path.resolve().parent.name, policy=self.freezing['policy'],
                         layers=self.freezing['layers'], **self.freezing['timeline'])


def read_checkpoints(paths: Sequence[Path]) -> List[RunCheckpoint]:
    """Reads the checkpoints of a run.

    Args:
        paths (Sequence[Path]): The files, in any order.

    Returns:
        list[RunCheckpoint]: In the order of training, so that the last one is the final model.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: One is not readable or says nothing of its time, there are fewer than two, or
            two are of the same time.
    """
    if len(paths) < 2:
        raise ValueError('similarity to the final model takes at least two checkpoints, of which '
                         f'the latest is the final one, but {len(paths)} was given')
    found = sorted((_read(path) for path in paths), key=lambda checkpoint: checkpoint.iteration)
    for one, other in zip(found, found[1:]):
        if one.iteration == other.iteration:
            raise ValueError(f'{one.path} and {other.path} are both of iteration {one.iteration}: '
                             'give one of them')
    return found


def require_same_model(model: nn.Module, checkpoints: Sequence[RunCheckpoint]) -> None:
    """Checks that checkpoints are of a model.

    Args:
        model (nn.Module): The model.
        checkpoints (Sequence[RunCheckpoint]): Whose tensors should have its names and shapes.

    Raises:
        ValueError: One is of another model.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for checkpoint in checkpoints:
        given = {name: tuple(tensor.shape) for name, tensor in checkpoint.weights.items()}
        wrong = [name for name in {**expected, **given} if expected.get(name) != given.get(name)]
        if wrong:
            there, here = (f'of shape {shapes[wrong[0]]}' if wrong[0] in shapes else 'absent'
                           for shapes in (given, expected))
            raise ValueError(
                f"{checkpoint.path} is a checkpoint of another model than the config's: "
                f'{len(wrong)} tensors differ, such as {wrong[0]}, which is {there} in the '
                f"checkpoint and {here} in the config's model")


def _read(path: Path) -> RunCheckpoint:
    try:
        content = read_checkpoint(path)
        meta = content['meta']
        if not all(isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
            raise ValueError('its "meta" does not say its epoch and iter, as those of checkpoints '
                             'that a run wrote do')
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return RunCheckpoint(path, meta['epoch'], meta['iter'], content['state_dict'],
                         content.get('mmfreeze'))

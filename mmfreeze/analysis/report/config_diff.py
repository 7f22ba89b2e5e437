"""In which settings two configs differ."""
import inspect
from typing import Any, Dict, Iterator, List, NamedTuple

from mmengine.config import Config
from mmengine.runner import Runner

# A config also holds the variables of its files (``train_pipeline``), which nothing reads.
READ = {*inspect.signature(Runner.__init__).parameters, 'custom_imports', 'compile',
        'model_wrapper_cfg', 'find_unused_parameters', 'sync_bn', 'activation_checkpointing',
        'efficient_conv_bn_eval'}
# Where a run lies is no setting of its training.
IGNORED = {'work_dir', 'experiment_name', 'resume'}

NOT_SET = '(not set)'


class Difference(NamedTuple):
    """A setting that differs.

    Args:
        key (str): Such as ``custom_hooks.0.policy.type``.
        base (str): Its value in the first config, as Python writes it.
        other (str): Its value in the other one.
    """
    key: str
    base: str
    other: str


def config_differences(base: Config, other: Config) -> List[Difference]:
    """Compares configs setting by setting; lists of dicts entry by entry, at the same positions.

    Args:
        base (Config): The first config.
        other (Config): The other one.

    Returns:
        list[Difference]: What the runner reads and finds different, sorted by key.
    """
    settings = ({key: value for key, value in cfg.to_dict().items() if key in READ - IGNORED}
                for cfg in (base, other))
    return sorted(_differences('', *settings))


def _differences(key: str, base: Any, other: Any) -> Iterator[Difference]:
    if base == other:
        return
    left, right = _children(base), _children(other)
    for name in {**left, **right}:
        yield from _differences(f'{key}.{name}'.lstrip('.'), left.get(name, NOT_SET),
                                right.get(name, NOT_SET))
    # What has children is written by them; an empty value beside some is not worth a line.
    texts = [NOT_SET if children or (value in ({}, [], ()) and (left or right)) or value is NOT_SET
             else repr(value) for value, children in ((base, left), (other, right))]
    if texts != [NOT_SET, NOT_SET]:
        yield Difference(key, *texts)


def _children(value: Any) -> Dict[Any, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, (list, tuple)) and any(isinstance(entry, dict) for entry in value):
        return dict(enumerate(value))
    return {}

"""Reading and writing files of weights."""
import io
import pickle
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import torch
from mmengine.runner import checkpoint as runner_checkpoint
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mmfreeze.utils.files import write_bytes_atomic

_TRUST = ('a pickle can run any code; if you trust where it comes from: python '
          'tools/model_converters/convert_weights.py FILE OUT.safetensors --trust-pickle')


def read_weights(path: Path, trust_pickle: bool = False) -> Dict[str, Tensor]:
    """Reads the tensors of a file, without running any code that the file may hold.

    Args:
        path (Path): A .pth or .pt, .npz or .safetensors file; of a checkpoint the entry ``model``
            or ``state_dict``. A .pkl file (detectron2's model zoo) is nothing but a pickle.
        trust_pickle (bool): Whether to unpickle what is more than tensors and plain values, which
            runs whatever code the file holds. Defaults to False.

    Returns:
        dict[str, Tensor]: Tensors by name.

    Raises:
        ValueError: The file is of another kind, damaged, or holds more than tensors.
    """
    if path.suffix == '.pkl' and not trust_pickle:
        raise ValueError(f'not read, because {_TRUST}')
    readers = {'.pth': _read_torch, '.pt': _read_torch, '.npz': _read_npz,
               '.safetensors': lambda path, _: load_file(path), '.pkl': _read_pickle}
    if path.suffix not in readers:
        raise ValueError(f'expected a file that ends in {", ".join(readers)}')
    content = _read(readers[path.suffix], path, trust_pickle)
    weights = _state_dict(content)
    if not isinstance(weights, dict) or not weights or not all(
            isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(
            'expected tensors by name, at the top or under the key "model" or "state_dict"')
    return weights


def read_checkpoint(path: Path) -> Dict[str, Any]:
    """Reads a checkpoint of MMEngine, without running any code that the file may hold.

    Args:
        path (Path): The file.

    Returns:
        dict: ``meta``, ``state_dict`` and what else there is. Tensors stay in the file, of which
        only those are read that are looked at.

    Raises:
        ValueError: The file is damaged, holds more than tensors and what MMEngine puts beside
            them, or is no checkpoint.
    """
    content = _read(partial(_read_torch, mmap=zipfile.is_zipfile(path)), path, False,
                    advice='a pickle can run any code, so it is not read')
    if not isinstance(content, dict) or not all(
            isinstance(content.get(key), dict) for key in ('meta', 'state_dict')):
        raise ValueError('expected a checkpoint of a run, with the keys "meta" and "state_dict"')
    return content


def write_weights(path: Path, weights: Dict[str, Tensor]) -> None:
    """Writes tensors by name; an interruption leaves no half file.

    Args:
        path (Path): A .safetensors or .pth file.
        weights (dict[str, Tensor]): Tensors by name.

    Raises:
        ValueError: The file's name ends in something else.
        OSError: The file cannot be written.
    """
    # Copies: views would drag whole storages into a .pth, and safetensors refuses them.
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format)
               for name, tensor in weights.items()}
    if path.suffix == '.safetensors':
        data = save(tensors, metadata=dict(format='pt'))
    elif path.suffix == '.pth':
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        data = buffer.getvalue()
    else:
        raise ValueError(f'{path}: expected a name that ends in .safetensors or .pth')
    write_bytes_atomic(path, data)


def _read(reader: Callable[[Path, bool], Any], path: Path, trust_pickle: bool,
          advice: str = _TRUST) -> Any:
    try:
        return reader(path, trust_pickle)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, KeyError,
            ValueError, SafetensorError, ImportError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if path.suffix in ('.pth', '.pt') and not trust_pickle and isinstance(
                error, pickle.UnpicklingError):
            reason = f'it is damaged, or a pickle of more than tensors ({advice})'
        raise ValueError(f'not readable as {path.suffix}: {reason}') from error


def _state_dict(content: Any) -> Any:
    for key in ('model', 'state_dict'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if isinstance(content, dict):  # detectron2's pickles hold arrays
        return {name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for name, value in content.items()}
    return content


def _read_torch(path: Path, trust_pickle: bool, mmap: bool = False) -> Any:
    # What mmengine's own checkpoints hold beside tensors; its runner admits the same when it loads.
    # The fork's list of what checkpoints may hold; upstream's MMEngine has none.
    admitted = getattr(runner_checkpoint, 'get_torch_safe_globals', list)()
    with torch.serialization.safe_globals(admitted):
        return torch.load(
            path, map_location='cpu', weights_only=not trust_pickle, mmap=mmap)


def _read_npz(path: Path, _: bool) -> Dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _read_pickle(path: Path, _: bool) -> Any:
    with open(path, 'rb') as file:
        return pickle.load(file, encoding='latin1')  # the older ones were written by Python 2

"""Images and labels from one npz file."""
import zlib
from pathlib import Path
from typing import Dict, List
from zipfile import BadZipFile

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS


@DATASETS.register_module()
class NpzDataset(BaseDataset):
    """Small images that lie in memory as one array.

    The file holds ``x_train``, ``y_train``, ``x_test``, ``y_test`` and, if it likes, ``classes``:
    images as uint8 of shape (N, H, W, 3), red first, or (N, H, W), whose grey is given to all
    three channels; labels as N integers from 0; names of the classes as strings.

    Samples have the keys that MMPretrain's ``CIFAR10`` gives them, ``img`` (red first, so that the
    data preprocessor needs ``to_rgb=False``) and ``gt_label``, and ``sample_idx``. Only
    the arrays of the split are read. Loader workers share them with the process that read them.

    Args:
        ann_file (str): The npz file.
        split (str): 'train' or 'test'.
        **kwargs: Those of MMPretrain's ``BaseDataset``, such as ``data_root``, ``pipeline`` and
            ``indices`` (the first so many, or a list of them).

    Raises:
        FileNotFoundError: The file is absent.
        ValueError: ``split`` is another word, the file is no npz, an array is missing or its
            shape or type is wrong, or a label has no class.
    """

    def __init__(self, ann_file: str, split: str, **kwargs) -> None:
        if split not in ('train', 'test'):
            raise ValueError(f"NpzDataset: split must be 'train' or 'test', but is {split!r}")
        self.split = split
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Reads the arrays; of each image its place in them and its label."""
        x, y = f'x_{self.split}', f'y_{self.split}'
        arrays = self._read(x, y)
        self._images, labels, classes = arrays[x], arrays[y], arrays.get('classes')
        shape = self._images.shape
        if self._images.dtype != np.uint8 or len(shape) < 3 or shape[3:] not in ((), (3,)):
            raise ValueError(f'{self.ann_file}: {x} must be uint8 of shape (N, H, W, 3) or '
                             f'(N, H, W), but is {self._images.dtype} of {shape}')
        if labels.dtype.kind not in 'iu' or labels.shape != shape[:1]:
            raise ValueError(f'{self.ann_file}: {y} must be {shape[0]} integers, one for each '
                             f'image of {x}, but is {labels.dtype} of {labels.shape}')
        if classes is not None:
            self._metainfo.setdefault('classes', tuple(map(str, classes)))
        count = len(self.CLASSES) if self.CLASSES else np.inf
        if labels.size and not 0 <= labels.min() <= labels.max() < count:
            raise ValueError(f'{self.ann_file}: {y} has labels from {labels.min()} to '
                             f'{labels.max()}, but they must be from 0 and below the number of '
                             f'classes ({count})')
        return [dict(row=row, gt_label=int(label)) for row, label in enumerate(labels)]

    def get_data_info(self, idx: int) -> dict:
        """What the pipeline gets of an image.

        Args:
            idx (int): Number of the sample.

        Returns:
            dict: ``img`` (a copy, for transforms may write into it), ``gt_label``, ``sample_idx``.
        """
        info = super().get_data_info(idx)
        image = self._images[info.pop('row')]
        info['img'] = np.stack([image] * 3, -1) if image.ndim == 2 else image.copy()
        return info

    def _read(self, *names: str) -> Dict[str, np.ndarray]:
        if not Path(self.ann_file).is_file():
            raise FileNotFoundError(f'{self.ann_file} is absent; data/README.md says what it is')
        try:
            with np.load(self.ann_file) as file:
                missing = [name for name in names if name not in file]
                if not missing:
                    return {name: file[name] for name in (*names, 'classes') if name in file}
                found = ', '.join(file)
        except (ValueError, TypeError, EOFError, OSError, BadZipFile, zlib.error) as error:
            raise ValueError(f'{self.ann_file} is no npz file that can be read: {error}') from error
        raise ValueError(f'{self.ann_file} lacks {", ".join(missing)}; it has {found}')

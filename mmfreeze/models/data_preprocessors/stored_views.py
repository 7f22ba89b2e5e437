"""Preprocessing of batches that come without images, since their features are stored."""
from typing import Any, Dict, NamedTuple, Tuple

import torch
from mmdet.models import DetDataPreprocessor
from mmdet.models.utils import samplelist_boxtype2tensor
from mmdet.registry import MODELS


class NoImages(NamedTuple):
    """Stands for the images of a batch that nobody looks at.

    Args:
        shape (tuple[int, int, int, int]): That of the batch as the backbone would get it,
            (B, C, H, W).
    """
    shape: Tuple[int, int, int, int]


@MODELS.register_module()
class StoredViewsPreprocessor(DetDataPreprocessor):
    """``DetDataPreprocessor`` that takes a batch without images where features are stored.

    It then gives boxes and meta information as it does with images, and in place of them a tensor
    of their shape that holds a single number.
    """

    def forward(self, data: Dict[str, Any], training: bool = False) -> Dict[str, Any]:
        """Preprocesses a batch.

        Args:
            data (dict): ``inputs``: images or :class:`NoImages`; ``data_samples``.
            training (bool): Whether to augment batches. Defaults to False.

        Returns:
            dict: ``inputs`` of shape (B, C, H, W) and ``data_samples``.
        """
        inputs = data['inputs']
        if not isinstance(inputs, NoImages):
            return super().forward(data, training)
        data_samples = self.cast_data(data['data_samples'])
        for sample in data_samples:
            sample.set_metainfo(dict(batch_input_shape=inputs.shape[-2:],
                                     pad_shape=inputs.shape[-2:]))
        if self.boxtype2tensor:
            samplelist_boxtype2tensor(data_samples)
        return dict(inputs=torch.zeros(1, device=self.device).expand(inputs.shape),
                    data_samples=data_samples)

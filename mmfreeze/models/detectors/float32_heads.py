"""Mixed precision for the backbone and the neck, float32 for the heads."""
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

import torch
from torch import Tensor


class Float32HeadsMixin:
    """Keeps a detector's heads in float32 when autocast is on around it.

    Heads in bfloat16 produce proposals in bfloat16, whose steps are 4 pixels wide at 512 to 1024
    pixels: small boxes move by half their size. The backbone and the neck, where the time goes,
    still run under the autocast region of the caller, with its dtype. Put it before the detector::

        class MyDetector(Float32HeadsMixin, FasterRCNN):
            ...
    """

    # dtype for the features, while the heads run outside of the caller's autocast region
    _feature_dtype: Optional[torch.dtype] = None

    def loss(self, batch_inputs: Tensor, *args, **kwargs):
        """Same as the detector's ``loss``, with heads in float32."""
        with self._autocast_features_only(batch_inputs.device.type):
            return super().loss(batch_inputs, *args, **kwargs)

    def predict(self, batch_inputs: Tensor, *args, **kwargs):
        """Same as the detector's ``predict``, with heads in float32."""
        with self._autocast_features_only(batch_inputs.device.type):
            return super().predict(batch_inputs, *args, **kwargs)

    def _forward(self, batch_inputs: Tensor, *args, **kwargs):
        with self._autocast_features_only(batch_inputs.device.type):
            return super()._forward(batch_inputs, *args, **kwargs)

    def extract_feat(self, batch_inputs: Tensor) -> Tuple[Tensor, ...]:
        """Same as the detector's ``extract_feat``; float32 where the heads are to use it."""
        if self._feature_dtype is None:
            return super().extract_feat(batch_inputs)
        with torch.autocast(batch_inputs.device.type, dtype=self._feature_dtype):
            features = super().extract_feat(batch_inputs)
        return tuple(feature.float() for feature in features)

    @contextmanager
    def _autocast_features_only(self, device_type: str) -> Iterator[None]:
        if not torch.is_autocast_enabled(device_type):
            yield
            return
        self._feature_dtype = torch.get_autocast_dtype(device_type)
        try:
            with torch.autocast(device_type, enabled=False):
                yield
        finally:
            self._feature_dtype = None

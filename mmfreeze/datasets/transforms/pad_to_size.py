"""Padding that does not pass for image."""
from mmdet.datasets.transforms import Pad
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PadToSize(Pad):
    """Pads every sample on the right and below to one size, in training and in tests alike.

    A plain ViT with position embeddings sees the same grid each time, and features do not depend
    on what else is in the batch. Unlike mmdet's ``Pad``, the image's own size stays in
    ``img_shape``, so that boxes are clipped to the image and not to its padding.

    Args:
        size: ``(width, height)`` in pixels; larger images are left as they are.
        pad_val: The value of the padding, per channel in the image's own order and range. The
            default is ImageNet's mean in BGR, which normalisation turns into zero.
    """

    def __init__(self, size: tuple, pad_val: tuple = (104, 116, 124)) -> None:
        super().__init__(size=size, pad_val=dict(img=pad_val))

    def transform(self, results: dict) -> dict:
        """Pads ``results['img']``, shape (H, W, C), and keeps ``results['img_shape']``."""
        img_shape = results['img_shape']
        results = super().transform(results)
        results['img_shape'] = img_shape
        return results

"""Loading an image only where somebody looks at it."""
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS

from .asked_view import image_wanted


@TRANSFORMS.register_module()
class LoadImageUnlessStored(LoadImageFromFile):
    """Loads an image as ``LoadImageFromFile`` does, unless the features of its view are stored.

    Then the size that the annotations give (``height`` and ``width``; images of unknown size are
    loaded) stands in for the image. The transforms behind it have
    to do without pixels, as ``LoadAnnotations``, ``ReplayableViews`` and ``PackDetInputs`` do.

    Args:
        **kwargs: Those of ``LoadImageFromFile``.

    Raises:
        ValueError: The image has another size than the annotations say, so that its boxes would
            not be where they are with the image.
    """

    def transform(self, results: dict) -> dict:
        """Sets ``img``, of shape (H, W, C), where it is wanted, ``img_shape`` and ``ori_shape``."""
        said = results.get('height'), results.get('width')
        if image_wanted() or None in said:
            results = super().transform(results)
            if results is not None and None not in said and said != results['ori_shape']:
                raise ValueError(
                    f'{results["img_path"]} has {results["ori_shape"][1]} x '
                    f'{results["ori_shape"][0]} pixels, its annotations say {said[1]} x {said[0]}: '
                    'convert the data set again')
        else:
            results['img_shape'] = results['ori_shape'] = said
        return results

"""Augmentation of which there are a few kinds, each of which can be had again."""
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from .asked_view import asked_view

FLIPS = (None, 'horizontal', 'vertical', 'diagonal')
# Chosen: the four flips first, then objects larger and smaller.
VIEWS = (
    dict(), dict(flip='horizontal'), dict(flip='vertical'), dict(flip='diagonal'),
    dict(scale=1.5, cell=(0, 0)), dict(scale=1.5, cell=(1, 1), flip='horizontal'),
    dict(scale=.75), dict(scale=1.5, cell=(0, 1), flip='vertical'))
# What a view shows less of than this share is no object in it. Chosen.
MIN_VISIBLE = .25


class View(NamedTuple):
    """A way to show an image.

    Args:
        flip (str, optional): ``'horizontal'``, ``'vertical'``, ``'diagonal'`` or None.
        scale (float): Size, where 1 lets the whole image fill the frame as far as its aspect ratio
            allows.
        cell (tuple[float, float]): Which part is shown where it is larger than the frame: 0 is at
            the top (or left), 1 at the bottom (or right).
    """
    flip: Optional[str] = None
    scale: float = 1.
    cell: Tuple[float, float] = (.5, .5)


@TRANSFORMS.register_module()
class ReplayableViews(BaseTransform):
    """Shows an image in one of K views: resized, cut, flipped and padded to a frame of one size.

    Which one is said by the exact train loops, which draw it from the seed, the pass through the
    data and the sample; anybody else gets one that NumPy's generator draws. What frozen layers make
    of a view can be stored, for it comes back. That is why this takes the place of ``Resize``,
    ``RandomFlip``, ``RandomCrop`` and ``PadToSize`` (or ``Pad``) in a pipeline.

    Objects of which less than a quarter of the area is shown are left out. Works without an image,
    on the size that ``img_shape`` gives, for features that are stored already.

    Args:
        size (tuple[int, int]): Width and height of the frame, in pixels.
        num_views (int): K, from 1 to the number of views. Defaults to 4.
        views (Sequence[dict]): The arguments of up to eight :class:`View`, of which the first K
            are used. Defaults to the four flips, then larger and smaller ones.
        pad_val (tuple): The value of the padding, see ``PadToSize``.

    Raises:
        ValueError: A setting is out of range.
    """

    def __init__(self, size: Tuple[int, int], num_views: int = 4,
                 views: Sequence[Dict[str, Any]] = VIEWS,
                 pad_val: Sequence[float] = (104, 116, 124)) -> None:
        if not 1 <= len(views) <= 8:
            raise ValueError(f'ReplayableViews: views must be 1 to 8, but there are {len(views)}')
        if not 1 <= num_views <= len(views):
            raise ValueError(f'ReplayableViews: num_views must be from 1 to {len(views)} (the '
                             f'number of views), but is {num_views!r}')
        self.width, self.height = size
        self.views = [_checked(view) for view in views[:num_views]]
        self.pad_val = tuple(pad_val)

    def transform(self, results: dict) -> dict:
        """Shows ``img``, of shape (H, W, C), if there is one, and moves ``gt_bboxes`` along.

        ``img_shape`` becomes the size of what is shown of the image, without the padding.

        Raises:
            ValueError: There are masks or segmentation maps, or no such view.
        """
        for key in ('gt_masks', 'gt_seg_map', 'proposals'):
            if results.get(key) is not None:
                raise ValueError(f'ReplayableViews shows boxes only, but there is {key}: remove it '
                                 'from LoadAnnotations')
        number = asked_view()
        view = self.views[np.random.randint(len(self.views)) if number is None else number]
        old = results['img_shape']
        fit = min(self.height / old[0], self.width / old[1]) * view.scale
        resized = tuple(max(1, round(side * fit)) for side in old)
        shown = min(resized[0], self.height), min(resized[1], self.width)
        top, left = (round((whole - part) * cell)
                     for whole, part, cell in zip(resized, shown, view.cell))
        if results.get('img') is not None:
            img = results['img']
            if resized != tuple(old):
                img = mmcv.imresize(img, resized[::-1])
            img = img[top:top + shown[0], left:left + shown[1]]
            if view.flip is not None:
                img = mmcv.imflip(img, view.flip)
            results['img'] = mmcv.impad(img, shape=(self.height, self.width), pad_val=self.pad_val)
        results.update(
            img_shape=shown, scale_factor=(resized[1] / old[1], resized[0] / old[0]),
            flip=view.flip is not None, flip_direction=view.flip)
        if results.get('gt_bboxes') is not None:
            self._show_boxes(results, view, (top, left))
        return results

    def _show_boxes(self, results: dict, view: View, corner: Tuple[int, int]) -> None:
        boxes, shown = results['gt_bboxes'], results['img_shape']
        boxes.rescale_(results['scale_factor'])
        boxes.translate_((-corner[1], -corner[0]))
        whole = boxes.areas
        boxes.clip_(shown)
        kept = (boxes.areas >= MIN_VISIBLE * whole).numpy() & (boxes.areas > 0).numpy()
        boxes = boxes[kept]
        if view.flip is not None:
            boxes.flip_(shown, view.flip)
        results['gt_bboxes'] = boxes
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if results.get(key) is not None:
                results[key] = results[key][kept]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size=({self.width}, {self.height}), views={self.views})'


def _checked(view: Dict[str, Any]) -> View:
    try:
        checked = View(**view)
    except TypeError:
        raise ValueError(f'ReplayableViews: a view has {", ".join(View._fields)}, but one is '
                         f'{view!r}') from None
    if (checked.flip not in FLIPS or not 0 < checked.scale <= 4
            or len(checked.cell) != 2 or not all(0 <= part <= 1 for part in checked.cell)):
        raise ValueError(f'ReplayableViews: flip is {", ".join(map(str, FLIPS))}, scale within '
                         f'(0, 4], cell two numbers within [0, 1], but a view is {view!r}')
    return checked

"""A view shows the same pixels and the same boxes whenever it is asked for, also without pixels."""
import mmcv
import numpy as np
import pytest
import torch
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

import mmfreeze  # noqa: F401
from mmfreeze.datasets.transforms import LoadImageUnlessStored, ReplayableViews
from mmfreeze.datasets.transforms.asked_view import asking
from mmfreeze.datasets.transforms.replayable_views import VIEWS


def sample(height=60, width=100, box=(20, 5, 60, 40), image=True):
    """A dark image with one bright object."""
    results = dict(img_shape=(height, width),
                   gt_bboxes=HorizontalBoxes(torch.tensor([box]).float()),
                   gt_bboxes_labels=np.array([3]), gt_ignore_flags=np.array([False]))
    if image:
        img = np.zeros((height, width, 3), np.uint8)
        img[box[1]:box[3], box[0]:box[2]] = 200
        results['img'] = img
    return results


def show(transform, view, **options):
    with asking(view):
        return transform(sample(**options))


@pytest.mark.parametrize('view', range(len(VIEWS)))
@pytest.mark.parametrize('shape', [dict(), dict(height=90, width=50, box=(10, 20, 40, 70))],
                         ids=['wide', 'tall'])
def test_boxes_lie_around_what_is_bright(view, shape):
    shown = show(ReplayableViews(size=(64, 48), num_views=8, pad_val=(0, 0, 0)), view, **shape)
    assert shown['img'].shape == (48, 64, 3)
    ys, xs = np.nonzero(shown['img'][..., 0] > 100)
    seen = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert shown['gt_bboxes'].tensor[0].tolist() == pytest.approx(seen, abs=1.5)
    assert shown['gt_bboxes_labels'].tolist() == [3]
    height, width = shown['img_shape']
    assert not shown['img'][height:].any() and not shown['img'][:, width:].any()


@pytest.mark.parametrize('view', range(len(VIEWS)))
def test_boxes_are_the_same_without_the_image(view):
    transform = ReplayableViews(size=(64, 48), num_views=8)
    with_image, bare = show(transform, view), show(transform, view, image=False)
    assert torch.equal(with_image.pop('gt_bboxes').tensor, bare.pop('gt_bboxes').tensor)
    del with_image['img']
    assert with_image == bare


def test_views_differ_and_come_back():
    transform = ReplayableViews(size=(64, 48), num_views=8)
    images = [show(transform, view)['img'] for view in range(8)]
    assert len({image.tobytes() for image in images}) == 8
    assert all(np.array_equal(show(transform, view)['img'], images[view]) for view in range(8))


def test_who_asks_for_no_view_gets_any_of_the_first_k():
    np.random.seed(0)
    transform = ReplayableViews(size=(64, 48), num_views=2)
    flips = {transform(sample())['flip_direction'] for _ in range(40)}
    assert flips == {None, 'horizontal'}


def test_what_is_hardly_shown_is_no_object():
    views = [dict(scale=2., cell=(0, 0))]
    transform = ReplayableViews(size=(100, 60), num_views=1, views=views)
    # At twice the size the frame shows x < 50 and y < 30 of the image.
    for box, kept in (((44, 0, 64, 20), True), ((46, 0, 66, 20), False), ((60, 0, 80, 20), False)):
        results = transform(sample(box=box))
        assert len(results['gt_bboxes']) == len(results['gt_ignore_flags']) == kept


@pytest.mark.parametrize('options, message', [
    (dict(num_views=0), 'num_views must be from 1 to 8'),
    (dict(num_views=9), 'num_views must be from 1 to 8'),
    (dict(views=[]), 'views must be 1 to 8'),
    (dict(views=[dict(flip='sideways')], num_views=1), 'flip is'),
    (dict(views=[dict(scale=0)], num_views=1), 'scale within'),
    (dict(views=[dict(cell=(0, 2))], num_views=1), 'cell two numbers'),
    (dict(views=[dict(angle=3)], num_views=1), 'a view has flip, scale, cell')])
def test_wrong_settings(options, message):
    with pytest.raises(ValueError, match=message):
        ReplayableViews(size=(64, 48), **options)


def test_masks_are_refused():
    with pytest.raises(ValueError, match='boxes only, but there is gt_masks'):
        ReplayableViews(size=(64, 48))(dict(sample(), gt_masks=[1]))


class TestLoading:
    """Of LoadImageUnlessStored."""

    def test_an_image_that_nobody_looks_at_is_not_read(self, tmp_path):
        info = dict(img_path=str(tmp_path / 'absent.png'), height=60, width=100)
        with asking(0, with_image=False):
            results = LoadImageUnlessStored()(dict(info))
        assert 'img' not in results and results['img_shape'] == results['ori_shape'] == (60, 100)
        with pytest.raises(FileNotFoundError):
            LoadImageUnlessStored()(dict(info))

    @pytest.mark.parametrize('said, right', [((60, 100), True), ((100, 60), False)])
    def test_annotations_of_another_size_are_refused(self, tmp_path, said, right):
        path = str(tmp_path / 'image.png')
        mmcv.imwrite(sample()['img'], path)
        info = dict(img_path=path, height=said[0], width=said[1])
        if right:
            assert LoadImageUnlessStored()(info)['img'].shape == (60, 100, 3)
        else:
            with pytest.raises(ValueError, match='has 100 x 60 pixels, its annotations say 60'):
                LoadImageUnlessStored()(info)

    def test_it_is_registered(self):
        assert isinstance(TRANSFORMS.build(dict(type='LoadImageUnlessStored')),
                          LoadImageUnlessStored)

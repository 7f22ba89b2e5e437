"""nms, through mmcv's own functions, against the loop written down here."""
import numpy as np
import pytest
import torch

import mmfreeze  # noqa: F401  isort: skip  puts the ops in place, so before mmcv
import mmcv.ops

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)]
HALVES = [torch.float16, torch.bfloat16]


def expected_nms(boxes, scores, threshold, offset=0):
    """Greedy loop over the boxes by falling score."""
    boxes, kept = boxes.double().tolist(), []

    def area(x1, y1, x2, y2):
        return max(x2 - x1 + offset, 0) * max(y2 - y1 + offset, 0)

    for i in scores.argsort(descending=True).tolist():
        for j in kept:
            a, b = boxes[i], boxes[j]
            common = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
            if common / (area(*a) + area(*b) - common) > threshold:
                break
        else:
            kept.append(i)
    return kept


def candidates(n=60):
    """Returns n overlapping boxes on a quarter-pixel grid (exact in bfloat16), scores all apart."""
    corner = torch.randint(0, 40, (n, 2)) / 4
    boxes = torch.cat([corner, corner + torch.randint(4, 40, (n, 2)) / 4], dim=1)
    return boxes, torch.randperm(n) / n


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('threshold', [.1, .3, .6])
@pytest.mark.parametrize('offset', [0, 1])
def test_nms(offset, threshold, device):
    boxes, scores = candidates()
    dets, kept = mmcv.ops.nms(boxes.to(device), scores.to(device), threshold, offset)
    assert kept.tolist() == expected_nms(boxes, scores, threshold, offset)
    assert 1 < len(kept) < 60
    assert kept.device == dets.device and kept.device.type == device
    assert torch.equal(dets.cpu(), torch.cat([boxes, scores[:, None]], dim=1)[kept.cpu()])


def test_nms_offset_by_hand():
    boxes = torch.tensor([[0., 0., 9., 9.], [0., 5., 9., 14.]])
    scores = torch.tensor([.9, .8])
    # 9 * 4 / (2 * 81 - 36) = .286 without the offset, 10 * 5 / (2 * 100 - 50) = .333 with it
    assert mmcv.ops.nms(boxes, scores, .3)[1].tolist() == [0, 1]
    assert mmcv.ops.nms(boxes, scores, .3, offset=1)[1].tolist() == [0]
    assert mmcv.ops.nms(boxes, scores, .34, offset=1)[1].tolist() == [0, 1]


def test_nms_score_threshold_and_max_num():
    boxes, scores = candidates()
    valid = (scores > .4).nonzero()[:, 0]
    expected = valid[expected_nms(boxes[valid], scores[valid], .3)].tolist()
    assert len(expected) > 3
    _, kept = mmcv.ops.nms(boxes, scores, .3, score_threshold=.4)
    assert kept.tolist() == expected
    _, kept = mmcv.ops.nms(boxes, scores, .3, score_threshold=.4, max_num=3)
    assert kept.tolist() == expected[:3]


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('score_threshold', [0, .5])
@pytest.mark.parametrize('offset', [0, 1])
def test_nms_without_boxes(offset, score_threshold, device):
    dets, kept = mmcv.ops.nms(
        torch.empty(0, 4, device=device), torch.empty(0, device=device), .5, offset,
        score_threshold=score_threshold)
    assert dets.shape == (0, 5)
    assert kept.shape == (0, ) and kept.dtype == torch.int64


def test_nms_of_numpy_arrays():
    boxes, scores = candidates()
    dets, kept = mmcv.ops.nms(boxes.numpy(), scores.numpy(), .3)
    assert isinstance(dets, np.ndarray) and isinstance(kept, np.ndarray)
    assert kept.tolist() == expected_nms(boxes, scores, .3)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('score_dtype', [torch.float32, None], ids=['mixed', 'both half'])
@pytest.mark.parametrize('dtype', HALVES)
def test_nms_of_half_types(dtype, score_dtype, device):
    boxes, scores = candidates()
    kept = mmcv.ops.nms(boxes.to(device, dtype), scores.to(device, score_dtype or dtype), .3)[1]
    assert kept.tolist() == expected_nms(boxes, scores, .3)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('agnostic, split_thr', [(False, 10000), (False, 1), (True, 10000)],
                         ids=['shifted by class', 'class after class', 'class-agnostic'])
def test_batched_nms(agnostic, split_thr, device):
    boxes, scores = candidates()
    labels = torch.arange(60) % 3
    groups = [torch.arange(60)] if agnostic else [(labels == c).nonzero()[:, 0] for c in range(3)]
    expected = torch.cat([g[expected_nms(boxes[g], scores[g], .3)] for g in groups])
    expected = expected[scores[expected].argsort(descending=True)][:20]

    config = dict(type='nms', iou_threshold=.3, split_thr=split_thr, max_num=20)
    dets, kept = mmcv.ops.batched_nms(
        boxes.to(device), scores.to(device), labels.to(device), config, class_agnostic=agnostic)
    assert kept.tolist() == expected.tolist()
    assert torch.equal(dets.cpu(), torch.cat([boxes, scores[:, None]], dim=1)[expected])


def test_batched_nms_without_boxes():
    dets, kept = mmcv.ops.batched_nms(
        torch.empty(0, 4), torch.empty(0), torch.empty(0, dtype=torch.long), None)
    assert dets.shape == (0, 5) and kept.shape == (0, )

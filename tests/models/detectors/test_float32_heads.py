from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmfreeze.models import ViTDet

pytestmark = pytest.mark.usefixtures('mmdet_scope')
CONFIGS = Path(__file__).resolve().parents[3] / 'configs' / '_base_' / 'models'
SIZE = 96


@pytest.fixture(scope='module')
def config() -> dict:
    cfg = Config.fromfile(CONFIGS / 'vitdet_toy.py').model
    cfg.backbone.update(img_size=SIZE, depth=2, window_size=3, global_attn_indexes=(1,))
    return cfg


@pytest.fixture
def model(config) -> ViTDet:
    torch.manual_seed(0)
    return MODELS.build(config)


def samples(batch_size: int = 2) -> list:
    """Two boxes in each image."""
    shape = (SIZE, SIZE)
    result = []
    for _ in range(batch_size):
        sample = DetDataSample(metainfo=dict(
            img_shape=shape, pad_shape=shape, ori_shape=shape, batch_input_shape=shape,
            scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[10., 10, 40, 36], [50, 44, 90, 80]]),
            labels=torch.tensor([0, 3]))
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        result.append(sample)
    return result


class Spy:
    """Notes the dtypes that leave the modules under watch, and those of the proposals."""

    def __init__(self, model) -> None:
        self.dtypes = {}
        self.watch('patches', model.backbone.patch_embed.proj)
        self.watch('backbone', model.backbone.blocks[1].mlp.fc2)
        self.watch('neck', model.neck.levels[0][4])
        self.watch('rpn', model.rpn_head.rpn_conv)
        self.watch('rpn boxes', model.rpn_head.rpn_reg)
        self.watch('roi features', model.roi_head.bbox_roi_extractor)
        self.watch('classes', model.roi_head.bbox_head.fc_cls)
        predict = model.rpn_head.predict_by_feat

        def predict_by_feat(*args, **kwargs):
            results = predict(*args, **kwargs)
            self.dtypes['proposals'] = {boxes.bboxes.dtype for boxes in results}
            return results

        model.rpn_head.predict_by_feat = predict_by_feat

    def watch(self, name: str, module: torch.nn.Module) -> None:
        module.register_forward_hook(
            lambda module, args, output: self.dtypes.setdefault(name, set()).add(output.dtype))


RUNS = {
    'loss': lambda model, x: model(x, samples(), mode='loss'),
    'predict': lambda model, x: model.eval()(x, samples(), mode='predict'),
    'tensor': lambda model, x: model.eval()(x, samples(), mode='tensor'),
}


@pytest.mark.parametrize('mode', RUNS)
def test_heads_stay_in_float32_and_the_rest_follows_autocast(model, mode):
    spy = Spy(model)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        RUNS[mode](model, torch.randn(2, 3, SIZE, SIZE))
        assert torch.is_autocast_enabled('cpu')
        assert (torch.randn(2, 2) @ torch.randn(2, 2)).dtype == torch.bfloat16
    assert spy.dtypes == {
        **dict.fromkeys(['patches', 'backbone', 'neck'], {torch.bfloat16}),
        **dict.fromkeys(['rpn', 'rpn boxes', 'proposals', 'roi features', 'classes'],
                        {torch.float32})}


def test_faster_rcnn_itself_would_run_its_heads_in_bfloat16(config):
    """What the mixin is for: without it, proposals are bfloat16."""
    model = MODELS.build({**config, 'type': 'FasterRCNN'})
    spy = Spy(model)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.no_grad():
        model.rpn_head.predict(model.extract_feat(torch.randn(2, 3, SIZE, SIZE)), samples())
    assert spy.dtypes['proposals'] == {torch.bfloat16}


@pytest.mark.parametrize('mode', RUNS)
def test_nothing_changes_without_autocast(config, model, mode):
    plain = MODELS.build({**config, 'type': 'FasterRCNN'})
    plain.load_state_dict(model.state_dict())
    image = torch.randn(2, 3, SIZE, SIZE)
    results = []
    for detector in (plain, model):
        torch.manual_seed(1)  # training samples proposals at random
        results.append(RUNS[mode](detector, image))
    if mode == 'predict':
        results = [[(s.pred_instances.bboxes, s.pred_instances.scores) for s in result]
                   for result in results]
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)


def test_gradients_reach_every_parameter_of_the_backbone_under_autocast(model):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(torch.randn(2, 3, SIZE, SIZE), samples(), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.dtype == torch.float32
    for name, param in model.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name
    assert all(param.grad.any() for param in model.backbone.blocks[0].mlp.parameters())


def test_autocast_is_as_before_after_an_error(model):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        with pytest.raises(ValueError, match='pad_size_divisor'):
            model(torch.randn(1, 3, 90, 90), samples(1), mode='loss')
        assert torch.is_autocast_enabled('cpu')
        features = model.extract_feat(torch.randn(1, 3, SIZE, SIZE))
    assert len(features) == 5 and model._feature_dtype is None


@pytest.mark.cuda
def test_on_cuda(model):
    model = model.cuda()
    spy = Spy(model)
    with torch.autocast('cuda', dtype=torch.float16):
        losses = model(torch.randn(2, 3, SIZE, SIZE, device='cuda'),
                       [sample.to('cuda') for sample in samples()], mode='loss')
    model.parse_losses(losses)[0].backward()
    assert spy.dtypes['backbone'] == {torch.float16}
    assert spy.dtypes['proposals'] == spy.dtypes['classes'] == {torch.float32}

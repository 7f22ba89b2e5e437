"""What cannot be stored is refused before training, in one clear line."""
import pytest
import torch
import view_runs
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor
from store_runs import LAYERS, ConvNet, Model, build, run
from torch import nn

LFA = dict(type='LinearFreezing')


@pytest.mark.parametrize('store, message', [
    (dict(max_gb=1e-6, no_room='error'),
     r'store: no room for 4.61e-06 GB of features behind layer 0: store.max_gb is 1e-06'),
    (dict(where='disk'), r"store.where must be one of ram, file, but is 'disk'"),
    (dict(dtype='int8'), "store.dtype must be one of .*, but is 'int8'"),
    (dict(no_room='stop'), "store.no_room must be one of freeze, error, but is 'stop'"),
    (dict(max_gb=0), 'store.max_gb must be more than 0, but is 0'),
    (dict(keep=True), "store.keep=True keeps files, so it needs store.where='file'"),
])
def test_wrong_settings_are_named(tmp_path, store, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, policy=LFA, store=store)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(3 * (i + 1), 3, 1) for i in range(LAYERS))

    def ordered_layers(self):
        return [(f'blocks.{i}',) for i in range(LAYERS)]

    def forward(self, x):
        for block in self.blocks:
            x = torch.cat([x, block(x)], 1)
        return (x,)


class Augmented(BaseDataPreprocessor):
    def __init__(self, augment):
        super().__init__()
        self.batch_augments = augment


def augmented(augment):
    model = Model(ConvNet)
    model.data_preprocessor.batch_augments = augment
    return model


@pytest.mark.parametrize('options, message', [
    (dict(pipeline=[dict(type='RandomFlip', prob=.5), dict(type='PackInputs')]),
     'train_dataloader.dataset: RandomFlip may show a sample in more ways'),
    (dict(pipeline=[dict(type='YOLOXHSVRandomAug'), dict(type='PackInputs')]),
     'YOLOXHSVRandomAug may show'),
    (dict(pipeline=[dict(type='mmdet.FilterAnnotations'), dict(type='PackInputs')]),
     'FilterAnnotations may show'),
    (dict(pipeline=[dict(type='LoadImageFromFile', ignore_empty=True), dict(type='PackInputs')]),
     r'LoadImageFromFile\(ignore_empty=True\) may show'),
    (dict(model=augmented(nn.ModuleList([nn.Identity()]))),
     'model.data_preprocessor.batch_augments: Identity may show'),
    (dict(model=augmented(nn.Identity())), 'Identity may show'),
    (dict(exact=False), "set train_cfg.type='ExactEpochBasedTrainLoop'"),
    (dict(backbone=Dense), 'Dense cannot be cut behind its layer 1'),
    (dict(data=[*range(11), 1000], batch_size=12),
     'training images differ in size .* end the pipeline with PadToSize'),
])
def test_what_cannot_be_stored_is_refused_before_training(tmp_path, options, message):
    class NoStep(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            raise AssertionError('training has begun')

    runner = build(tmp_path, policy=LFA, store={}, watch=NoStep(), **options)
    with pytest.raises(ValueError, match=message):
        runner.train()


class PipelineSwitchHook(Hook):
    """Under the name of MMDetection's."""


def test_hooks_that_exchange_the_pipeline_are_refused(tmp_path):
    runner = build(tmp_path, policy=LFA, store={}, watch=PipelineSwitchHook())
    with pytest.raises(ValueError, match='custom_hooks: PipelineSwitchHook may show'):
        runner.train()


def test_what_cannot_be_replayed_is_refused_with_what_to_use(tmp_path):
    given = view_runs.options(tmp_path / 'images')
    given['dataset']['pipeline'].insert(2, dict(type='PhotoMetricDistortion'))
    build.count += 1
    with pytest.raises(ValueError, match='PhotoMetricDistortion may show .* use ReplayableViews'):
        build(tmp_path / 'run', policy=LFA, store={}, **given).train()


def test_data_sets_with_different_numbers_of_views_are_refused(tmp_path):
    one, two = (view_runs.options(tmp_path / 'images', views=views)['dataset'] for views in (1, 2))
    given = view_runs.options(tmp_path / 'images')
    given['dataset'] = dict(type='ConcatDataset', datasets=[one, two])
    build.count += 1
    with pytest.raises(ValueError, match='same num_views, but they have 1, 2'):
        build(tmp_path / 'run', policy=LFA, **given).train()

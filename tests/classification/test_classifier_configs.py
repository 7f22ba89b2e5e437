"""The configs of the classifiers: what they train, on what, and what may be random in it."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS
from PIL import Image

from mmfreeze.engine.layer_orders import build_stack

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/classification'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))
# Layers that can be frozen: convolutions of VGG, blocks of the residual nets, dense layers.
LAYERS = {'vgg11': 8, 'resnet50': 16, 'resnet152': 50, 'densenet-bc-k12-l76': 36, 'wrn-40-4': 18}
EXPECTED = {
    'learndrop': [('vgg11', 'cifar10'), ('resnet50', 'cifar10'), ('resnet152', 'cifar10'),
                  ('vgg11', 'mnist'), ('resnet50', 'imagenette')],
    'freezeout': [(model, data) for model in ('densenet-bc-k12-l76', 'wrn-40-4')
                  for data in ('cifar10', 'cifar100')],
}


def load(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def transforms(loader):
    return [step['type'] for step in loader.dataset.pipeline]


def test_every_policy_has_its_baseline():
    assert NAMES == sorted(f'{model}_{kind}_{data}' for policy, pairs in EXPECTED.items()
                           for model, data in pairs for kind in ('base', policy))


@pytest.mark.parametrize('name', NAMES)
def test_model_fits_the_data(name):
    cfg = load(name)
    model_name, _, data = name.split('_')
    model = MODELS.build(cfg.model).to('meta')
    assert len(build_stack(model)) == LAYERS[model_name]
    images = torch.zeros(2, 3, *cfg.image_size, device='meta')
    assert model(images).shape == (2, 100 if data == 'cifar100' else 10)
    assert cfg.image_size == ((224, 224) if data == 'imagenette' else (32, 32))


@pytest.mark.parametrize('name', NAMES)
def test_nothing_is_random_where_features_are_stored(name):
    cfg = load(name)
    _, kind, data = name.split('_')
    augmented = 'densenet' in name or 'wrn' in name
    for loader in (cfg.val_dataloader, cfg.test_dataloader, cfg.train_dataloader):
        random = [step for step in transforms(loader) if step.startswith('Random')]
        expected = augmented and loader is cfg.train_dataloader
        assert random == (['RandomCrop', 'RandomFlip'] if expected else [])
        assert transforms(loader)[-1] == 'PackInputs'


@pytest.mark.parametrize('name', [name for name in NAMES if '_base_' not in name])
def test_policy_and_what_differs_from_the_baseline(name):
    model, kind, data = name.split('_')
    cfg, base = load(name), load(f'{model}_base_{data}')
    hook, = cfg.custom_hooks
    assert hook.type == 'mmdet.LayerFreezingHook'
    assert base.custom_hooks == [dict(type='mmdet.LayerFreezingHook',
                                      policy=dict(type='NoFreezing'))]
    assert cfg.model == base.model and cfg.train_cfg == base.train_cfg
    assert cfg.train_dataloader == base.train_dataloader
    assert cfg.optim_wrapper.optimizer == base.optim_wrapper.optimizer
    schedule, = base.param_scheduler
    assert (schedule.type, schedule.T_max) == ('CosineAnnealingLR', base.train_cfg.max_epochs)
    if kind == 'freezeout':
        assert hook.policy == dict(type='FreezeOut', how='cubic', scaled=True, t_0=.8)
        assert cfg.optim_wrapper == dict(base.optim_wrapper, type='mmdet.FreezeOptimWrapper')
        assert cfg.optim_wrapper.constructor == 'mmdet.LayerGroupsConstructor'
        assert cfg.param_scheduler == []
    else:
        assert hook.policy == dict(type='LearnAndDrop')
        assert hook.store.where == ('ram' if 'vgg' in name else 'file')
        assert cfg.optim_wrapper == base.optim_wrapper
        assert cfg.param_scheduler == base.param_scheduler


@pytest.mark.parametrize('name, train, test, classes', [
    ('vgg11_learndrop_cifar10', 10_000, 3_000, 10), ('vgg11_base_mnist', 60_000, 10_000, None),
    ('wrn-40-4_freezeout_cifar10', 10_000, 3_000, 10)])
def test_data_sets(name, train, test, classes, shared_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = 'mnist' if 'mnist' in name else 'cifar10'
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / data).symlink_to(shared_data(data))
    cfg = load(name)
    for loader, count in ((cfg.train_dataloader, train), (cfg.val_dataloader, test)):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == count and dataset.test_mode == (count == test)
        assert len(dataset.metainfo.get('classes', ())) == (classes or 0)
        sample = dataset[17]
        assert sample['inputs'].shape == (3, 32, 32) and sample['inputs'].dtype == torch.uint8
        assert 0 <= sample['data_samples'].gt_label.item() < 10
        labels = dataset.get_gt_labels()
        assert sorted(set(labels.tolist())) == list(range(10))


def test_imagenette_is_read_from_its_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split in ('train', 'val'):
        for label in range(10):
            folder = tmp_path / f'data/imagenette2/{split}/n0{label}'
            folder.mkdir(parents=True)
            Image.new('RGB', (300 + label, 240), (250, 10, 20)).save(folder / 'x.JPEG', quality=95)
    cfg = load('resnet50_learndrop_imagenette')
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == 10 and dataset.get_gt_labels().tolist() == list(range(10))
        sample = dataset[3]
        assert sample['inputs'].shape == (3, 224, 224)
        assert sample['inputs'].float().mean((1, 2)).argmax() == 2 and cfg.data_preprocessor.to_rgb


@pytest.mark.parametrize('name', ['wrn-40-4_base_cifar100', 'resnet50_base_imagenette'])
def test_absent_original_files_are_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load(name)
    with pytest.raises((RuntimeError, FileNotFoundError), match='data/(cifar100|imagenette2)'):
        DATASETS.build(cfg.train_dataloader.dataset)

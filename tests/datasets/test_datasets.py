"""The registered data sets: classes, clear errors, and the configs that use them."""
import json
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfreeze.datasets import (AerialDataset, DIORDataset, NWPUVHR10Dataset, RSODDataset,
                               SIMDDataset, ToyDataset)
from mmfreeze.datasets.toy import generate_toy

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy') / 'toy'
    generate_toy(root, train=6, test=2)
    return root


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmdet')


def build(loader, root, **settings):
    return DATASETS.build({**loader['dataset'], 'data_root': str(root), **settings})


@pytest.mark.parametrize('dataset, number', [(DIORDataset, 20), (NWPUVHR10Dataset, 10),
                                             (SIMDDataset, 15), (RSODDataset, 4),
                                             (ToyDataset, 6)])
def test_meta(dataset, number):
    classes, palette = dataset.METAINFO['classes'], dataset.METAINFO['palette']
    assert len(set(classes)) == len(set(palette)) == len(classes) == len(palette) == number
    assert DATASETS.get(dataset.__name__) is dataset


@pytest.mark.parametrize('name, command', [
    ('dior', 'python tools/dataset_converters/dior.py '),
    ('nwpu', 'python tools/dataset_converters/nwpu.py '),
    ('simd', 'python tools/dataset_converters/simd.py '),
    ('rsod', 'python tools/dataset_converters/rsod.py '),
    ('toy', 'python tools/dataset_converters/make_toy.py --out '),
])
def test_missing_annotations_name_the_command(name, command, tmp_path):
    loader = Config.fromfile(CONFIGS / f'{name}.py').train_dataloader
    with pytest.raises(FileNotFoundError) as error:
        build(loader, tmp_path)
    assert str(error.value) == (f'{tmp_path}/{loader.dataset.ann_file} is absent; make it with: '
                                f'{command}{tmp_path}')
    assert (CONFIGS.parents[2] / command.split()[1]).is_file()


def test_labels_follow_the_names(toy, tmp_path):
    """A file with its categories in another order, and a data set with fewer classes."""
    truth = json.loads((toy / 'annotations' / 'trainval.json').read_text())
    names = {category['id']: category['name'] for category in truth['categories']}
    truth['categories'].reverse()
    (tmp_path / 'reversed.json').write_text(json.dumps(truth))
    classes = ('vehicle', 'airplane')
    for metainfo in ({}, dict(classes=classes)):
        dataset = ToyDataset(str(tmp_path / 'reversed.json'), metainfo=metainfo,
                             data_prefix=dict(img=''))
        for info in dataset:
            expected = [names[ann['category_id']] for ann in truth['annotations']
                        if ann['image_id'] == info['img_id']]
            if metainfo:
                expected = [name for name in expected if name in classes]
            assert [dataset.metainfo['classes'][instance['bbox_label']]
                    for instance in info['instances']] == expected


def test_wrong_classes_and_broken_file(toy, tmp_path):
    path = toy / 'annotations' / 'trainval.json'
    with pytest.raises(ValueError, match=f'{path}: no category airport, baseballfield'):
        DIORDataset(str(path))
    (tmp_path / 'broken.json').write_text('{')
    with pytest.raises(ValueError, match='broken.json: '):
        ToyDataset(str(tmp_path / 'broken.json'))


def test_toy_config(toy):
    config = Config.fromfile(CONFIGS / 'toy.py')
    train = build(config.train_dataloader, toy)
    assert len(train) == 6
    sample = train[0]
    assert sample['inputs'].shape == (3, 160, 160)
    assert len(sample['data_samples'].gt_instances) > 0
    test = build(config.test_dataloader, toy)
    metainfo = test[1]['data_samples'].metainfo
    assert metainfo['scale_factor'] == (1, 1) and metainfo['img_id'] == 8


def test_images_without_objects_are_filtered_in_training_only(toy, tmp_path):
    truth = json.loads((toy / 'annotations' / 'trainval.json').read_text())
    truth['annotations'] = [ann for ann in truth['annotations'] if ann['image_id'] != 2]
    path = tmp_path / 'fewer.json'
    path.write_text(json.dumps(truth))
    config = Config.fromfile(CONFIGS / 'toy.py')
    assert len(build(config.train_dataloader, toy, ann_file=str(path))) == 5
    assert len(build(config.test_dataloader, toy, ann_file=str(path))) == 6


@pytest.mark.parametrize('name, side', [('dior', 1024), ('nwpu', 512), ('simd', 1024),
                                        ('rsod', 1024)])
def test_fixed_size(name, side, toy):
    """The big sets' pipelines on toy images: one size, and test boxes of the original image."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    dataset = config.train_dataloader.dataset
    classes = ToyDataset.METAINFO['classes']
    for loader in (config.train_dataloader, config.test_dataloader):
        dataset = build(loader, toy, type='ToyDataset')
        for index in range(2):
            sample = dataset[index]
            assert sample['inputs'].shape == (3, side, side)
    truth = json.loads((toy / 'annotations' / 'test.json').read_text())
    boxes = np.array([ann['bbox'] for ann in truth['annotations'] if ann['image_id'] == 8])
    found = sample['data_samples'].gt_instances
    np.testing.assert_allclose(found.bboxes.tensor[:, :2], boxes[:, :2])
    assert sample['data_samples'].scale_factor == (side / 160, side / 160)
    assert {classes[label] for label in found.labels} <= set(classes)


@pytest.mark.parametrize('name', ['dior', 'nwpu', 'simd', 'rsod', 'toy'])
def test_evaluator_is_registered(name, toy):
    config = Config.fromfile(CONFIGS / f'{name}.py')
    for evaluator in (config.val_evaluator, config.test_evaluator):
        assert evaluator.ann_file == (config.test_dataloader.dataset.data_root
                                      + config.test_dataloader.dataset.ann_file)
        METRICS.build({**evaluator, 'ann_file': str(toy / 'annotations' / 'test.json')})


@pytest.mark.parametrize('kind', ['base', 'lfa', 'afa', 'freezeout'])
@pytest.mark.parametrize('name', ['dior', 'nwpu', 'simd', 'rsod', 'toy'])
def test_whole_configs_have_as_many_outputs_as_classes(name, kind):
    config = Config.fromfile(CONFIGS.parents[1] / f'vitdet_{kind}_{name}.py')
    classes = DATASETS.get(config.train_dataloader.dataset.type).METAINFO['classes']
    assert config.model.roi_head.bbox_head.num_classes == len(classes)
    policy = dict(base='NoFreezing', lfa='LinearFreezing', afa='AdaptiveFreezing',
                  freezeout='FreezeOut')[kind]
    assert [hook.policy.type for hook in config.custom_hooks] == [policy]
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        assert loader.dataset.data_root == f'data/{name}/'.replace('nwpu', 'nwpu_vhr10')
        assert loader.dataset.type == config.train_dataloader.dataset.type


def test_a_set_of_its_own(toy):
    """The base class takes its classes from the config; mmdet draws it in colours of its own."""
    dataset = AerialDataset('annotations/test.json', data_root=str(toy), data_prefix=dict(img=''),
                            metainfo=dict(classes=ToyDataset.METAINFO['classes']))
    assert len(dataset) == 2 and dataset.metainfo['palette'] is None
    with pytest.raises(FileNotFoundError, match=f'custom.py {toy}$'):
        AerialDataset('annotations/none.json', data_root=str(toy),
                      metainfo=dict(classes=('ship',)))

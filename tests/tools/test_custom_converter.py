"""tools/dataset_converters/custom.py: from any folder to a config that builds."""
import json
import os

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

TOOL = 'dataset_converters/custom.py'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Eight YOLO images in data/mine below the current folder."""
    root = tmp_path / 'data' / 'mine'
    root.mkdir(parents=True)
    (root / 'classes.txt').write_text("fishing boat\nport 'A'\n")
    for number in range(8):
        Image.new('RGB', (64, 48)).save(root / f'{number}.jpg')
        (root / f'{number}.txt').write_text(f'{number % 2} .5 .5 .5 .5\n')
    monkeypatch.chdir(tmp_path)
    return root


def test_config_parses_and_builds(folder, run_tool):
    done = run_tool(TOOL, 'data/mine', '--write-config', 'configs/mine.py')
    assert done.code == 0 and '8 images, 8 boxes kept, 0 dropped' in done.out
    config = Config.fromfile('configs/mine.py')
    assert config.model.roi_head.bbox_head.num_classes == 2
    assert config.optim_wrapper.type == 'FreezeOptimWrapper'
    assert config.train_cfg.max_epochs and config.default_scope == 'mmdet'
    init_default_scope('mmdet')
    train = DATASETS.build(config.train_dataloader.dataset)
    assert len(train) == 6 and train.metainfo['classes'] == ('fishing boat', "port 'A'")
    assert train[0]['inputs'].shape == (3, 1024, 1024)
    test = DATASETS.build(config.test_dataloader.dataset)
    assert len(test) == 2 and os.path.samefile(test.ann_file, config.test_evaluator.ann_file)
    assert config.val_evaluator == config.test_evaluator


def test_val_validates_and_test_tests(folder, run_tool):
    for name, ids in dict(train='0\n1', val='2', test='3').items():
        (folder / f'{name}.txt').write_text(ids)
    done = run_tool(TOOL, 'data/mine', '--out', 'json', '--write-config', 'mine.py')
    assert done.code == 0 and 'images in no split, not used: 4' in done.out
    config = Config.fromfile('mine.py')
    for loader, evaluator, name in (
            (config.val_dataloader, config.val_evaluator, 'val'),
            (config.test_dataloader, config.test_evaluator, 'test')):
        path = os.path.join(loader.dataset.data_root, loader.dataset.ann_file)
        assert os.path.samefile(path, f'json/{name}.json')
        assert os.path.samefile(evaluator.ann_file, path)


def test_a_config_in_use_stays(folder, run_tool, tmp_path):
    (tmp_path / 'mine.py').write_text('# mine')
    done = run_tool(TOOL, 'data/mine', '--write-config', 'mine.py')
    assert done.code == 1 and done.err.startswith('mine.py: exists already')
    assert (tmp_path / 'mine.py').read_text() == '# mine'
    assert not (folder / 'converted').exists()


def test_no_config_without_a_conversion(folder, run_tool, tmp_path):
    (folder / '3.jpg').write_text('')
    assert run_tool(TOOL, 'data/mine', '--write-config', 'mine.py').code == 1
    assert not (tmp_path / 'mine.py').exists()


@pytest.mark.parametrize('classes', [['a', 'b'], ['names.txt']])
def test_classes(folder, run_tool, tmp_path, classes):
    (tmp_path / 'names.txt').write_text('a\nb\n')
    assert run_tool(TOOL, 'data/mine', '--format', 'yolo', '--classes', *classes).code == 0
    content = json.loads((folder / 'converted/train.json').read_text())
    assert [category['name'] for category in content['categories']] == ['a', 'b']
    other = run_tool(TOOL, 'data/mine', '--out', 'other', '--seed', '3')
    assert other.code == 0
    assert json.loads((tmp_path / 'other/train.json').read_text())['images'] != content['images']


def test_source_json_is_not_overwritten(folder, run_tool):
    for number in range(8):
        (folder / f'{number}.txt').unlink()
    source = folder / 'annotations' / 'train.json'
    source.parent.mkdir()
    source.write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{i}.jpg') for i in range(8)],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 5, 5])],
        categories=[dict(id=1, name='ship')])))
    before = source.read_text()
    assert run_tool(TOOL, 'data/mine').code == 0
    done = run_tool(TOOL, 'data/mine', '--out', 'data/mine/annotations')
    assert done.code == 1 and 'is not looked into' in done.err
    assert source.read_text() == before

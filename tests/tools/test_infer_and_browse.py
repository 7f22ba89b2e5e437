"""tools/infer.py and tools/analysis_tools/browse_dataset.py on a tiny toy set."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools.coco import COCO

from mmfreeze.analysis.annotated_images import annotated_images
from mmfreeze.datasets import ToyDataset

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/vitdet_afa_toy.py'
BROWSE = 'analysis_tools/browse_dataset.py'
CLASSES = ToyDataset.METAINFO['classes']


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Untrained weights, which find something in every image if the threshold is low enough."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(CONFIG).model)
    path = tmp_path_factory.mktemp('weights') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(),
                    meta=dict(dataset_meta=dict(classes=CLASSES))), path)
    return path


def test_folder(in_tiny_toy, run_tool, checkpoint):
    folder = in_tiny_toy / 'data/toy/JPEGImages-test'
    done = run_tool('infer.py', CONFIG, checkpoint, folder, '--out', 'out', '--score-thr', '.01')
    assert done.code == 0, done.err
    names = sorted(path.name for path in folder.iterdir())
    assert sorted(path.name for path in Path('out/vis').iterdir()) == names
    found = COCO('out/detections.json')
    assert [image['file_name'] for image in found.imgs.values()] == names
    assert [found.cats[i]['name'] for i in sorted(found.cats)] == list(CLASSES)
    assert found.anns
    for detection in found.anns.values():
        x, y, width, height = detection['bbox']
        assert 0 <= x <= x + width <= 160.01 and 0 <= y <= y + height <= 160.01
        assert 0 < detection['score'] <= 1
    drawn = np.asarray(Image.open(f'out/vis/{names[0]}'))
    assert (drawn != np.asarray(Image.open(folder / names[0]))).any()


def test_threshold_is_for_the_pictures_only(in_tiny_toy, run_tool, checkpoint):
    image = in_tiny_toy / 'data/toy/JPEGImages-test/00009.png'
    done = run_tool('infer.py', CONFIG, checkpoint, image, '--out', 'out', '--score-thr', '1.01')
    assert done.code == 0, done.err
    assert '00009.png: 0 detections' in done.out
    assert json.loads(Path('out/detections.json').read_text())['annotations']
    # Nothing but the image, which is not resized: a toy set is as large as the model's input.
    drawn = np.asarray(Image.open('out/vis/00009.png'))
    assert np.array_equal(drawn, np.asarray(Image.open(image)))


def test_list_with_bad_images(in_tiny_toy, run_tool, checkpoint):
    """What can be read is done; the rest is listed at the end."""
    folder = Path('data/toy/JPEGImages-test')
    Path('cut.png').write_bytes((folder / '00009.png').read_bytes()[:500])
    Path('list.txt').write_text(f'{folder}/00009.png\r\n\ncut.png\nabsent.jpg\n{folder}/00010.png')
    done = run_tool('infer.py', CONFIG, checkpoint, 'list.txt', '--out', 'out')
    lines = [line for line in done.err.splitlines() if 'Warning' not in line and line.strip()]
    assert done.code == 1 and len(lines) == 3, done.err
    assert lines[0].startswith('cut.png: cannot be decoded')
    assert lines[1] == 'absent.jpg: the image is missing'
    assert lines[2] == 'error: 2 of 4 images could not be read; the others are done'
    found = json.loads(Path('out/detections.json').read_text())
    assert [image['file_name'] for image in found['images']] == [
        f'{folder}/00009.png', f'{folder}/00010.png']
    assert len(list(Path('out/vis').rglob('*.png'))) == 2


def test_list_that_climbs_stays_in_the_output(in_tiny_toy, run_tool, checkpoint):
    Path('lists').mkdir()
    Path('lists/some.txt').write_text('../data/toy/JPEGImages-test/00009.png\n../one.png')
    Path('one.png').write_bytes(Path('data/toy/JPEGImages-test/00010.png').read_bytes())
    assert run_tool('infer.py', CONFIG, checkpoint, 'lists/some.txt', '--out', 'out').code == 0
    assert Path('out/vis/one.png').is_file()
    assert Path('out/vis/data/toy/JPEGImages-test/00009.png').is_file()


@pytest.mark.parametrize('source, message', [
    ('absent', 'there is no image, folder or list absent'), ('.', '. names no image')])
def test_nothing_to_look_at(tmp_path, monkeypatch, run_tool, checkpoint, source, message):
    monkeypatch.chdir(tmp_path)
    done = run_tool('infer.py', CONFIG, checkpoint, source, '--out', 'out')
    assert done.code == 1 and message in done.err and not Path('out').exists()


def test_browse_test_images_in_their_own_size(in_tiny_toy, run_tool):
    """A box lies in the picture where the annotation has it, though the model sees another size."""
    done = run_tool(BROWSE, CONFIG, '--out', 'seen', '--split', 'test', '--num', '2',
                    '--cfg-options', 'test_dataloader.dataset.pipeline.1.scale=(320,320)')
    assert done.code == 0, done.err
    pictures = sorted(Path('seen').iterdir())
    assert [path.name for path in pictures] == ['00000_00009.jpg', '00002_00011.jpg']
    truth = COCO('data/toy/annotations/test.json')
    drawn = np.asarray(Image.open(pictures[0])).astype(int)
    bare = np.asarray(Image.open('data/toy/JPEGImages-test/00009.png')).astype(int)
    assert drawn.shape == bare.shape
    changed = np.abs(drawn - bare).max(2) > 60
    boxes = [ann['bbox'] for ann in truth.imgToAnns[min(truth.imgs)]]
    for x, y, width, height in boxes:
        left, right = int(x), int(min(x + width, 159))
        column = slice(int(y) + 2, max(int(y + height) - 2, int(y) + 3))
        edges = changed[column, max(left - 2, 0):left + 3].any(1).mean() + \
            changed[column, max(right - 2, 0):right + 3].any(1).mean()
        assert edges > 1.2, 'both vertical edges are drawn'


def test_browse_training_images_as_augmented(in_tiny_toy, run_tool):
    done = run_tool(BROWSE, CONFIG, '--out', 'seen', '--num', '99', '--cfg-options',
                    'train_dataloader.dataset.pipeline.2.prob=1.',
                    'train_dataloader.dataset.pipeline.2.direction=horizontal')
    assert done.code == 0 and '8 pictures in seen' in done.out
    drawn = np.asarray(Image.open('seen/00000_00001.jpg')).astype(int)
    bare = np.asarray(Image.open('data/toy/JPEGImages-trainval/00001.png')).astype(int)
    assert np.median(np.abs(drawn - bare[:, ::-1])) < 5 < np.median(np.abs(drawn - bare))


def test_browse_is_for_detectors():
    with pytest.raises(ValueError, match='not that of a detector'):
        annotated_images(Config(dict(default_scope='mmpretrain')), 'train')


@pytest.mark.parametrize('args, message', [
    (['--num', '0'], '--num must be 1 or more'),
    (['--cfg-options', 'train_dataloader.dataset.ann_file=absent.json'], 'absent.json'),
    (['--split', 'test', '--cfg-options', 'test_dataloader=None'], 'no test_dataloader'),
])
def test_browse_refusals(in_tiny_toy, run_tool, args, message):
    done = run_tool(BROWSE, CONFIG, '--out', 'seen', *args)
    assert done.code == 1 and message in done.err and not Path('seen').exists()

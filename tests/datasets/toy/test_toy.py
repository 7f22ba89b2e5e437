"""The toy set: the same everywhere, in DIOR's layout, with boxes that fit what is drawn."""
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmfreeze.datasets import DIORDataset, ToyDataset
from mmfreeze.datasets.conversion import ConversionError
from mmfreeze.datasets.toy import ToyDifficulty, draw_scene, generate_toy
from mmfreeze.datasets.toy.shapes import OBJECTS, Pen

PLAIN = ToyDifficulty(clutter=(0, 0), ground_noise=0, pixel_noise=0, gain=(1, 1), row=(0, 1, 1))


def scene(seed, size=160, difficulty=ToyDifficulty()):
    image, objects = draw_scene(np.random.default_rng(seed), size, difficulty)
    return np.asarray(image), objects


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy') / 'toy'
    generate_toy(root, train=4, test=2, size=96, seed=3)
    return root


def test_seed_decides(toy, tmp_path):
    """The same seed gives the same files, also beside more images; another seed other ones."""
    generate_toy(tmp_path / 'more', train=5, test=3, size=96, seed=3)
    for path in sorted(toy.glob('JPEGImages-trainval/*')):
        assert path.read_bytes() == (tmp_path / 'more' / path.relative_to(toy)).read_bytes()
    first = np.asarray(Image.open(toy / 'JPEGImages-test' / '00005.png'))
    again = np.asarray(Image.open(tmp_path / 'more' / 'JPEGImages-test' / '00006.png'))
    assert np.array_equal(first, again)
    images = [np.asarray(Image.open(path)) for path in sorted(toy.glob('JPEGImages-*/*'))]
    for number, image in enumerate(images):
        assert not any(np.array_equal(image, other) for other in images[number + 1:])
    assert not np.array_equal(scene(1)[0], scene(2)[0])


def test_dior_layout(toy):
    text = (toy / 'Annotations' / '00001.xml').read_bytes().decode()
    assert text.count('\r\n') == text.count('\n')
    assert re.search(r'\t<object>\r\n\t\t<name>\w+</name>\r\n\t\t<pose>Unspecified</pose>\r\n'
                     r'\t\t<bndbox>\r\n\t\t\t<xmin>\d+</xmin>\r\n\t\t\t<ymin>\d+</ymin>\r\n', text)
    lists = {path.stem: path.read_bytes().decode().split('\r\n')[:-1]
             for path in (toy / 'ImageSets' / 'Main').iterdir()}
    assert lists == dict(train=['00001', '00002'], val=['00003', '00004'],
                         trainval=['00001', '00002', '00003', '00004'], test=['00005', '00006'])
    for split, folder in (('trainval', 'JPEGImages-trainval'), ('test', 'JPEGImages-test')):
        images = json.loads((toy / 'annotations' / f'{split}.json').read_text())['images']
        assert [image['file_name'] for image in images] == [f'{folder}/{name}.png'
                                                            for name in lists[split]]
    assert not list(toy.parent.glob('.*'))


def test_classes_are_diors():
    classes = ToyDataset.METAINFO['classes']
    assert classes == tuple(OBJECTS)
    assert list(classes) == [name for name in DIORDataset.METAINFO['classes'] if name in classes]


@pytest.mark.parametrize('name', OBJECTS)
@pytest.mark.parametrize('angle', [0, 10, 90, 260])
def test_boxes_fit(name, angle):
    """The pen's box is the smallest around the pixels that the object changed."""
    canvas = Image.new('RGB', (320, 320))
    pen = Pen(ImageDraw.Draw(canvas), (41.3, 38.8), angle, 4)
    OBJECTS[name](pen, 30, 16, (200, 100, 90))
    rows, columns = np.nonzero(np.asarray(canvas).any(axis=2))
    drawn = (columns.min() / 4, rows.min() / 4, (columns.max() + 1) / 4, (rows.max() + 1) / 4)
    assert pen.box() == pytest.approx(drawn, abs=.26)


def test_scenes():
    """Over many scenes: every class, boxes inside, small and touching objects, clutter."""
    names, small, touching = set(), 0, 0
    for seed in range(30):
        image, objects = scene(seed)
        assert image.shape == (160, 160, 3)
        for name, (xmin, ymin, xmax, ymax) in objects:
            names.add(name)
            assert 1 <= xmin < xmax <= 160 and 1 <= ymin < ymax <= 160
            small += min(xmax - xmin, ymax - ymin) < 14
        boxes = np.array([box for _, box in objects])
        gaps = np.maximum(boxes[:, None, :2] - boxes[None, :, 2:],
                          boxes[None, :, :2] - boxes[:, None, 2:]).max(-1)
        touching += (gaps[~np.eye(len(boxes), dtype=bool)] <= 2).any()
    assert names == set(OBJECTS)
    assert small > 30 and touching > 10


def test_objects_alone_are_labelled():
    """Without clutter, everything that stands off from the bare ground lies in a box."""
    size, bare = 96, ToyDifficulty(clutter=(0, 0), groups=(0, 0), ground_noise=0, pixel_noise=0,
                                   gain=(1, 1))
    for seed in range(5):
        ground, nothing = scene(seed, size, bare)
        image, objects = scene(seed, size, PLAIN)
        assert not nothing and objects
        changed = (ground != image).any(axis=2)
        for _, (xmin, ymin, xmax, ymax) in objects:
            assert changed[ymin - 1:ymax, xmin - 1:xmax].any()
            changed[ymin - 1:ymax, xmin - 1:xmax] = False
        assert not changed.any()


@pytest.mark.parametrize('numbers', [dict(train=1), dict(test=0), dict(size=32)])
def test_too_small(tmp_path, numbers):
    with pytest.raises(ConversionError, match='at least'):
        generate_toy(tmp_path / 'toy', **numbers)
    assert not list(tmp_path.iterdir())


def test_interrupted_run_leaves_no_set(tmp_path, monkeypatch):
    monkeypatch.setattr('mmfreeze.datasets.toy.generate.draw_scene', _interrupt)
    with pytest.raises(KeyboardInterrupt):
        generate_toy(tmp_path / 'toy', train=2, test=1, size=64)
    assert not (tmp_path / 'toy').exists()
    monkeypatch.undo()
    generate_toy(tmp_path / 'toy', train=2, test=1, size=64)
    assert [path.name for path in tmp_path.iterdir()] == ['toy']


def _interrupt(*args):
    raise KeyboardInterrupt

"""SIMD's layout: the real sample, and what can be wrong with it."""
import json
import shutil

import pytest
from PIL import Image

from mmfreeze.datasets import SIMDDataset
from mmfreeze.datasets.conversion import ConversionError, LabelError, SIMDReader, convert

CLASSES = SIMDDataset.METAINFO['classes']


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'simd'
    (root / 'images').mkdir(parents=True)
    for number, name in enumerate(('training', 'validation', 'testing'), start=1):
        (root / f'{name}.txt').write_bytes(f'./images/000{number}.jpg\r'.encode())
        Image.new('RGB', (100, 80)).save(root / 'images' / f'000{number}.jpg')
        (root / 'images' / f'000{number}.txt').write_text('14 0.5 0.25 0.2 0.5\n\n0 .1 .1 .2 .2')
    return root


def test_sample(shared_data, tmp_path):
    """The sample's 50 images of the official lists; each line of their labels is a box."""
    source = shared_data('simd')
    labels = sorted((source / 'images').glob('*.txt'))
    lines = [line for path in labels for line in path.read_text().split('\n') if line.strip()]
    reader = SIMDReader(source, CLASSES)
    assert {name: len(ids) for name, ids in reader.splits.items()} == dict(train=4000, test=1000)
    report = convert(reader, tmp_path, on_error='skip')
    assert (report.images, report.boxes, report.dropped) == (50, len(lines), 0)
    assert {name: count.images for name, count in report.splits.items()} == dict(train=47, test=3)
    assert report.counts == {report.LEFT_OUT: 4950, report.CLIPPED: 1}
    train = json.loads((tmp_path / 'train.json').read_text())
    assert {(image['width'], image['height']) for image in train['images']} == {(1024, 768)}
    ids = {image['file_name']: image['id'] for image in train['images']}
    # its first line: 6 0.294922 0.365885 0.076172 0.096354
    first = next(ann for ann in train['annotations']
                 if ann['image_id'] == ids['images/0118.jpg'])
    assert first['category_id'] == 1 + CLASSES.index('propeller')
    assert first['bbox'] == pytest.approx([263, 244, 78, 74], abs=.02)


def test_order_of_the_classes_is_the_official_one(shared_data):
    assert (shared_data('simd') / 'classes.txt').read_text().split() == list(CLASSES)


def test_record_and_splits(root):
    reader = SIMDReader(root, CLASSES)
    assert reader.splits == dict(train=['images/0001.jpg', 'images/0002.jpg'],
                                 test=['images/0003.jpg'])
    record = reader.read('images/0003.jpg')
    assert (record.file_name, record.width, record.height) == ('images/0003.jpg', 100, 80)
    assert [(box.name, box.corners) for box in record.boxes] == [
        ('boat', (40, 0, 60, 40)), ('car', (0, 0, 20, 16))]


def test_rounding_of_the_fractions_is_not_taken_for_a_defect(root, tmp_path):
    (root / 'images/0001.txt').write_text('0 0.0999995 0.5 0.2 0.2\n')
    assert not convert(SIMDReader(root, CLASSES), tmp_path / 'out').findings


@pytest.mark.parametrize('line, message', [
    ('0 .5 .5 .1', "line 1: expected class cx cy width height, not '0 .5 .5 .1'"),
    ('car .5 .5 .1 .1', 'line 1: expected'),
    ('0 nan .5 .1 .1', 'line 1: expected'),
    ('0 .5 .5 inf .1', 'line 1: expected'),
    ('0 .5 .5 1_0 .1', 'line 1: expected'),
    ('15 .5 .5 .1 .1', 'line 1: class 15 is not one of 0 to 14'),
    ('-1 .5 .5 .1 .1', 'line 1: class -1 is not one of 0 to 14'),
    ('0.5 .5 .5 .1 .1', 'line 1: class 0.5 is not one of 0 to 14'),
    ('0 50 40 10 10', 'are no fractions of the image; divide pixels'),
])
def test_unusable_line(root, line, message):
    (root / 'images/0001.txt').write_text(line)
    with pytest.raises(LabelError, match=f'^images/0001.txt, .*{message}'):
        SIMDReader(root, CLASSES).read('images/0001.jpg')


def test_other_classes_and_missing_lists(root, tmp_path):
    (root / 'classes.txt').write_text('car\nvan\n')
    with pytest.raises(ConversionError, match='classes.txt: is not SIMD.s list'):
        SIMDReader(root, CLASSES)
    (root / 'classes.txt').write_text('\r\n'.join(CLASSES))
    SIMDReader(root, CLASSES)
    (root / 'validation.txt').unlink()
    with pytest.raises(ConversionError, match='validation.txt missing; put the official lists'):
        SIMDReader(root, CLASSES)


def test_skipping_needs_an_image_in_each_split(root, tmp_path):
    shutil.rmtree(root / 'images')
    with pytest.raises(ConversionError, match='^train: none of the 2 listed images can be used'):
        convert(SIMDReader(root, CLASSES), tmp_path / 'out', on_error='skip')

"""The writer: clipping, dropping, counting, failing and skipping, with a reader made of dicts."""
import json

import pytest

from mmfreeze.datasets.conversion import (Box, ConversionError, LabelError, Reader, Record, Report,
                                          convert, inclusive_box)

CLASSES = ('ship', 'dam')


class DictReader(Reader):
    classes = CLASSES

    def __init__(self, images, splits=None):
        self.images = images
        self.splits = splits or dict(train=list(images))

    def read(self, image_id):
        boxes = self.images[image_id]
        if isinstance(boxes, str):
            raise LabelError(f'{image_id}.txt: {boxes}')
        return Record(f'images/{image_id}.jpg', f'{image_id}.txt', 100, 50,
                      [Box(name, tuple(corners), tuple(corners)) for name, *corners in boxes], [])


def load(path):
    return json.loads(path.read_text())


def boxes_of(path):
    return [ann['bbox'] for ann in load(path)['annotations']]


def test_json(tmp_path):
    images = dict(a=[('ship', 0, 0, 100, 50), ('dam', 10, 20, 15, 40)], b=[],
                  c=[('dam', 1.5, 2, 4, 4)])
    report = convert(DictReader(images, dict(train=['a', 'b'], test=['c', 'a'])), tmp_path)
    assert load(tmp_path / 'train.json') == dict(
        images=[dict(id=1, file_name='images/a.jpg', width=100, height=50),
                dict(id=2, file_name='images/b.jpg', width=100, height=50)],
        annotations=[
            dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 100, 50], area=5000, iscrowd=0),
            dict(id=2, image_id=1, category_id=2, bbox=[10, 20, 5, 20], area=100, iscrowd=0)],
        categories=[dict(id=1, name='ship'), dict(id=2, name='dam')])
    test = load(tmp_path / 'test.json')
    assert [image['id'] for image in test['images']] == [3, 1]
    assert [ann['image_id'] for ann in test['annotations']] == [3, 1, 1]
    assert boxes_of(tmp_path / 'test.json')[0] == [1.5, 2, 2.5, 2]
    assert (report.images, report.boxes) == (3, 3)
    assert report.boxes_per_class == dict(ship=1, dam=2)
    assert report.splits == dict(train=(2, 2), test=(2, 3))


@pytest.mark.parametrize('corners, kept, kind', [
    ((0, 0, 100, 50), [0, 0, 100, 50], None),
    ((-10, 5, 20, 60), [0, 5, 20, 45], 'clipped'),
    ((90, 40, 140, 45), [90, 40, 10, 5], 'clipped'),
    ((100, 10, 120, 20), None, 'outside'),
    ((10, -20, 30, 0), None, 'outside'),
    ((10, 10, 10, 20), None, 'no area'),
    ((10, 30, 20, 25), None, 'no area'),
])
def test_defective_boxes(tmp_path, corners, kept, kind):
    report = convert(DictReader(dict(a=[('ship', *corners), ('dam', 1, 1, 9, 9)])), tmp_path)
    assert boxes_of(tmp_path / 'train.json') == ([kept] if kept else []) + [[1, 1, 8, 8]]
    assert report.dropped == (kept is None)
    assert len(report.findings) == (kind is not None)
    text = (tmp_path / 'conversion_report.txt').read_text()
    assert f'object 1, ship {corners}' in text if kind else 'object' not in text
    assert all(kind in heading for heading in report.counts)


def test_reject_treats_a_defective_box_as_an_error(tmp_path):
    images = dict(a=[('ship', -1, 0, 9, 9), ('ship', 5, 5, 5, 9)], b=[('dam', 0, 0, 9, 9)])
    with pytest.raises(ConversionError) as error:
        convert(DictReader(images), tmp_path, on_defect='reject')
    assert 'object 1' in str(error.value) and 'object 2' in str(error.value)
    report = convert(DictReader(images), tmp_path, on_error='skip', on_defect='reject')
    assert (report.images, report.dropped) == (1, 0)


def test_fail_reports_every_file_and_writes_nothing(tmp_path):
    images = dict(a='is broken', b=[], c='is missing', d=[('boat', 0, 0, 5, 5)])
    with pytest.raises(ConversionError) as error:
        convert(DictReader(images), tmp_path / 'out')
    lines = str(error.value).splitlines()
    assert lines[:2] == ['a.txt: is broken', 'c.txt: is missing']
    assert lines[2] == "d.txt: unknown class 'boat'; known are ship, dam"
    assert lines[3].startswith('3 of 4 images cannot be used')
    assert not (tmp_path / 'out').exists()


def test_skip_leaves_out_counts_and_lists(tmp_path):
    images = dict(a='is broken', b=[('dam', 0, 0, 5, 500)], c=[])
    report = convert(DictReader(images, dict(train=['a', 'c'], test=['a', 'b'])), tmp_path,
                     'skip')
    assert [image['id'] for image in load(tmp_path / 'train.json')['images']] == [2]
    assert [image['id'] for image in load(tmp_path / 'test.json')['images']] == [3]
    assert report.counts == {report.LEFT_OUT: 1, report.CLIPPED: 1, report.SHARED: 1}
    text = (tmp_path / 'conversion_report.txt').read_text()
    assert 'images left out: 1\n  a.txt: is broken\n' in text


def test_nothing_usable_is_an_error(tmp_path):
    with pytest.raises(ConversionError, match='none of the 2 listed images.*a.txt: is broken'):
        convert(DictReader(dict(a='is broken', b='too')), tmp_path, on_error='skip')
    assert not list(tmp_path.iterdir())


def test_repeated_ids_are_taken_once(tmp_path):
    report = convert(DictReader(dict(a=[], b=[]), dict(train=['a', 'b', 'a'])), tmp_path)
    assert len(load(tmp_path / 'train.json')['images']) == 2
    assert [finding.text for finding in report.findings] == ['train: a']


@pytest.mark.parametrize('listed, corners', [
    ((1, 1, 800, 800), (0, 0, 800, 800)),
    ((5, 6, 7, 8), (4, 5, 7, 8)),
    ((5, 6, 5, 8), (4, 5, 4, 8)),  # coinciding corners: no width
    ((5, 6, 9, 2), (4, 5, 9, 5)),  # inverted corners: no height
])
def test_inclusive_box(listed, corners):
    assert inclusive_box('ship', listed) == ('ship', corners, listed, False)


@pytest.mark.parametrize('settings', [dict(on_error='Fail'), dict(on_defect='drop')])
def test_unknown_setting(tmp_path, settings):
    with pytest.raises(ValueError, match="'fail' or 'skip'"):
        convert(DictReader(dict(a=[])), tmp_path, **settings)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_coordinates_that_are_no_numbers(tmp_path, value):
    images = dict(a=[('ship', 0, 0, value, 5)], b=[])
    with pytest.raises(ConversionError, match='^a.txt: object 1, ship .*: a coordinate is no numb'):
        convert(DictReader(images), tmp_path)
    assert convert(DictReader(images), tmp_path, on_error='skip').counts == {Report.LEFT_OUT: 1}


def test_ignored_objects_and_further_files(tmp_path):
    class Crowd(DictReader):
        def read(self, image_id):
            record = super().read(image_id)
            return record._replace(boxes=[box._replace(ignored=True) for box in record.boxes])
    config = tmp_path / 'new' / 'config.py'
    convert(Crowd(dict(a=[('ship', -5, 0, 5, 5)])), tmp_path, also={config: '# text'})
    assert load(tmp_path / 'train.json')['annotations'][0]['iscrowd'] == 1
    assert config.read_text() == '# text'

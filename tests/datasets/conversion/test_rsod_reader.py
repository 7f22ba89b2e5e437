"""RSOD's layout: the real labels and fragments, and what can be wrong with it."""
import csv
import shutil

import pytest
from PIL import Image

from mmfreeze.datasets import RSODDataset
from mmfreeze.datasets.conversion import ConversionError, LabelError, RSODReader, convert

CLASSES = RSODDataset.METAINFO['classes']
TEXT = 'a_1.jpg\taircraft\t3\t4\t10\t20\r\n\r\na_1.jpg\taircraft\t0\t0\t90\t70\r\n'


def add_image(root, name, stem, text, size=(90, 70), kind='labels'):
    """Adds an image with its label; png content keeps large images small, Pillow looks at it."""
    labels = root / name / 'Annotation' / kind
    labels.mkdir(parents=True, exist_ok=True)
    (root / name / 'JPEGImages').mkdir(exist_ok=True)
    Image.new('1', size).save(root / name / 'JPEGImages' / f'{stem}.jpg', format='png')
    (labels / f'{stem}.{"xml" if kind == "xml" else "txt"}').write_bytes(text.encode())


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'rsod'
    for name in CLASSES:
        for number in (1, 3, 8, 40):
            add_image(root, name, f'a_{number}',
                      TEXT.replace('a_1', f'a_{number}').replace('aircraft', name))
    return root


def test_real_labels(shared_data, root, tmp_path):
    """All aircraft labels, beside three other classes: counts as published, 14 boxes clipped."""
    shutil.rmtree(root / 'aircraft')
    lines, sizes = {}, {}
    with open(shared_data('rsod') / 'aircraft_boxes_pixels.csv') as file:
        for row in csv.DictReader(file):
            stem = row['image'].removesuffix('.jpg')
            corners = [row[corner] for corner in ('xmin', 'ymin', 'xmax', 'ymax')]
            lines.setdefault(stem, []).append('\t'.join([row['image'], 'aircraft', *corners]))
            sizes[stem] = int(row['width']), int(row['height'])
    for stem, text in lines.items():
        add_image(root, 'aircraft', stem, '\n'.join(text), sizes[stem])
    report = convert(RSODReader(root, CLASSES), tmp_path / 'out')
    assert report.boxes_per_class['aircraft'] == 5139
    assert (report.images, report.dropped, report.counts) == (437, 0, {report.CLIPPED: 14})
    assert {name: count.images for name, count in report.splits.items()} == dict(
        train=319 + 9, test=106 + 3)
    listed = (tmp_path / 'out' / 'conversion_report.txt').read_text()
    assert listed.count('aircraft/Annotation/labels/aircraft_') == 14


def test_genuine_xml(shared_data, root):
    """ymax before xmax, depth before height, an owner with a name, another folder's name."""
    text = (shared_data('rsod') / 'rsod_aircraft_293_first2.xml').read_text()
    add_image(root, 'aircraft', 'aircraft_293', text, (1116, 659), 'xml')
    record = RSODReader(root, CLASSES).read('aircraft/aircraft_293')
    assert [(box.name, box.corners) for box in record.boxes] == [
        ('aircraft', (695, 527, 759, 598)), ('aircraft', (520, 63, 584, 128))]
    assert not record.findings


def test_oil_tank_far_outside(shared_data, root, tmp_path):
    text = (shared_data('rsod') / 'rsod_oiltank_91_fragment.xml').read_text()
    add_image(root, 'oiltank', 'oiltank_91', text, (589, 843), 'xml')
    report = convert(RSODReader(root, CLASSES), tmp_path / 'out')
    assert [finding.text for finding in report.findings] == [
        'oiltank/Annotation/xml/oiltank_91.xml: object 1, oiltank (-119, 265, 10, 388), '
        'image 589 x 843']
    with pytest.raises(ConversionError, match='oiltank_91.xml: object 1, .*: boxes clipped'):
        convert(RSODReader(root, CLASSES), tmp_path / 'out', on_defect='reject')


def test_xml_goes_before_text(root):
    xml = ('<annotation><filename>a_1</filename><object><name>aircraft</name><bndbox><xmin>1</xmin>'
           '<ymin>2</ymin><xmax>3.5</xmax><ymax>4</ymax></bndbox><difficult>1</difficult></object>'
           '<size><width>9</width><height>7</height></size></annotation>')
    add_image(root, 'aircraft', 'a_1', xml, kind='xml')
    record = RSODReader(root, CLASSES).read('aircraft/a_1')
    assert record.boxes == [('aircraft', (1, 2, 3.5, 4), (1, 2, 3.5, 4), True)]
    assert [finding.text for finding in record.findings] == [
        'aircraft/Annotation/xml/a_1.xml: says 9 x 7, but aircraft/JPEGImages/a_1.jpg has '
        '90 x 70, which is taken']


def test_split_is_seeded_and_stratified(root):
    first, again, other = (RSODReader(root, CLASSES, seed).splits for seed in (0, 0, 1))
    assert first == again != other
    for name in CLASSES:
        assert sum(i.startswith(f'{name}/') for i in first['train']) == 3
        assert sum(i.startswith(f'{name}/') for i in first['test']) == 1
    assert not set(first['train']) & set(first['test'])


@pytest.mark.parametrize('line, message', [
    ('a_1.jpg\taircraft\t3\t4\t10', 'line 1: expected image, class, xmin'),
    ('a_1.jpg\taircraft\t3\t4\tten\t20', 'line 1: expected image'),
    ('a_2.jpg\taircraft\t3\t4\t10\t20', "line 1: is about another image, 'a_2.jpg'"),
])
def test_unusable_line(root, line, message):
    (root / 'aircraft/Annotation/labels/a_1.txt').write_text(line)
    with pytest.raises(LabelError, match=f'^aircraft/Annotation/labels/a_1.txt, {message}'):
        RSODReader(root, CLASSES).read('aircraft/a_1')


def test_missing_label_image_and_folder(root):
    (root / 'aircraft/Annotation/labels/a_1.txt').unlink()
    (root / 'aircraft/JPEGImages/a_3.jpg').unlink()
    reader = RSODReader(root, CLASSES)
    with pytest.raises(LabelError, match='^aircraft/Annotation/xml/a_1.xml: .* missing'):
        reader.read('aircraft/a_1')
    with pytest.raises(LabelError, match='^aircraft/JPEGImages/a_3.jpg: the image is missing$'):
        reader.read('aircraft/a_3')
    shutil.rmtree(root / 'overpass')
    with pytest.raises(ConversionError, match='overpass/JPEGImages: no such folder; unpack RSOD'):
        RSODReader(root, CLASSES)

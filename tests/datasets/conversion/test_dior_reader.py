"""DIOR's layout: the real labels, and what can be wrong with them."""
import json
import shutil
import tarfile

import pytest
from PIL import Image

from mmfreeze.datasets import DIORDataset
from mmfreeze.datasets.conversion import ConversionError, DIORReader, LabelError, convert

CLASSES = DIORDataset.METAINFO['classes']
XML = '''<annotation>\r
\t<filename>{name}.jpg</filename>\r
\t<size>\r\n\t\t<width>80</width>\r\n\t\t<height>60</height>\r\n\t\t<depth>3</depth>\r\n\t</size>\r
\t<object>\r
\t\t<name>ship</name>\r
\t\t<bndbox>\r
\t\t\t<xmin>3</xmin>\r\n\t\t\t<ymin>4</ymin>\r\n\t\t\t<xmax>10</xmax>\r\n\t\t\t<ymax>20</ymax>\r
\t\t</bndbox>\r
\t</object>\r
</annotation>\r
'''
SPLITS = dict(train=['00001'], val=['00002'], test=['00003'])


@pytest.fixture
def root(tmp_path):
    """Three images in the official layout."""
    root = tmp_path / 'dior'
    (root / 'Annotations').mkdir(parents=True)
    (root / 'ImageSets' / 'Main').mkdir(parents=True)
    for split, ids in SPLITS.items():
        (root / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\r\n'.join(ids) + '\r\n')
        images = root / f'JPEGImages-{"test" if split == "test" else "trainval"}'
        images.mkdir(exist_ok=True)
        for image_id in ids:
            (root / 'Annotations' / f'{image_id}.xml').write_text(XML.format(name=image_id))
            Image.new('RGB', (80, 60)).save(images / f'{image_id}.jpg')
    return root


def edit(root, old, new, image_id='00001'):
    path = root / 'Annotations' / f'{image_id}.xml'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_official_labels(shared_data, tmp_path):
    """All of DIOR's labels convert with defaults; the counts are the published ones less 7."""
    source = shared_data('dior')
    with tarfile.open(source / 'dior_hbb_xml_all_23463.tar.gz') as archive:
        archive.extractall(tmp_path, filter='data')
    shutil.copytree(source / 'ImageSets', tmp_path / 'ImageSets')
    report = convert(DIORReader(tmp_path, CLASSES, labels_only=True), tmp_path / 'annotations')
    assert (report.images, report.boxes, report.dropped) == (23463, 192465, 7)
    assert {name: count.images for name, count in report.splits.items()} == dict(
        train=5862, val=5863, trainval=11725, test=11738)
    assert report.counts == {report.NO_AREA: 7}
    listed = [finding.text.split('/')[1][:5] for finding in report.findings]
    assert listed == ['04137', '06256', '07007', '08325', '15504', '15906', '16734']
    first = json.loads((tmp_path / 'annotations' / 'train.json').read_text())
    assert first['images'][0] == dict(
        id=1, file_name='JPEGImages-trainval/00001.jpg', width=800, height=800)
    assert first['annotations'][0]['bbox'] == [132, 236, 552, 436]
    assert first['annotations'][0]['category_id'] == 1 + CLASSES.index('golffield')


def test_real_images(shared_data, tmp_path):
    """The eight real images in one folder: their sizes agree with the xml."""
    source = shared_data('dior')
    ids = sorted(path.stem for path in (source / 'JPEGImages').iterdir())
    with tarfile.open(source / 'dior_hbb_xml_all_23463.tar.gz') as archive:
        archive.extractall(tmp_path, [f'Annotations/{i}.xml' for i in ids], filter='data')
    (tmp_path / 'JPEGImages').symlink_to(source / 'JPEGImages')
    (tmp_path / 'ImageSets').mkdir()
    for split, own in dict(train=ids[:1], val=ids[1:2], test=ids[2:]).items():
        (tmp_path / 'ImageSets' / f'{split}.txt').write_text('\n'.join(own))
    report = convert(DIORReader(tmp_path, CLASSES), tmp_path / 'annotations')
    assert report.images == 8 and not report.findings
    images = json.loads((tmp_path / 'annotations' / 'test.json').read_text())['images']
    assert images[0]['file_name'] == 'JPEGImages/11727.jpg'


def test_record(root):
    record = DIORReader(root, CLASSES).read('00003')
    assert record.file_name == 'JPEGImages-test/00003.jpg'
    assert (record.width, record.height) == (80, 60)
    assert record.boxes == [('ship', (2, 3, 10, 20), (3, 4, 10, 20), False)]


def test_layout_variants(root):
    """Lists directly in ImageSets, xml in the archive's own folder, one folder of images."""
    assert DIORReader(root, CLASSES).splits['trainval'] == ['00001', '00002']
    main = root / 'ImageSets' / 'Main'
    (main / 'trainval.txt').write_text('00002\n00001\n')
    for path in list(main.iterdir()):
        path.rename(path.parents[1] / path.name)
    main.rmdir()
    horizontal = root / 'Annotations' / 'Horizontal Bounding Boxes'
    horizontal.mkdir()
    for path in list((root / 'Annotations').glob('*.xml')):
        path.rename(horizontal / path.name)
    (root / 'JPEGImages-trainval').rename(root / 'JPEGImages')
    shutil.move(root / 'JPEGImages-test' / '00003.jpg', root / 'JPEGImages')
    (root / 'JPEGImages-test').rmdir()
    reader = DIORReader(root, CLASSES)
    assert reader.splits['trainval'] == ['00002', '00001']
    assert reader.read('00001').file_name == 'JPEGImages/00001.jpg'
    assert reader.read('00003').file_name == 'JPEGImages/00003.jpg'


def test_image_of_another_size_is_found_and_its_size_taken(root, tmp_path):
    Image.new('RGB', (80, 15)).save(root / 'JPEGImages-trainval' / '00001.jpg')
    report = convert(DIORReader(root, CLASSES), tmp_path)
    assert report.counts == {report.SIZE: 1, report.CLIPPED: 1}
    train = json.loads((tmp_path / 'train.json').read_text())
    assert train['images'][0]['height'] == 15
    assert train['annotations'][0]['bbox'] == [2, 3, 8, 12]


def test_missing_image(root):
    (root / 'JPEGImages-test' / '00003.jpg').unlink()
    with pytest.raises(LabelError, match='^JPEGImages-test/00003.jpg: the image is missing$'):
        DIORReader(root, CLASSES).read('00003')
    record = DIORReader(root, CLASSES, labels_only=True).read('00003')
    assert record.file_name == 'JPEGImages-test/00003.jpg'


@pytest.mark.parametrize('old, new, message', [
    ('</annotation>', '', 'cannot be read as xml'),
    ('<annotation>', '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', 'cannot be read as xml'),
    ('annotation>', 'annotations>', 'the outermost element is <annotations>'),
    ('00001.jpg', '00002.jpg', "is about another image, '00002.jpg'"),
    ('<width>80</width>', '', 'has no size/width'),
    ('>60<', '>0<', "size/height must be a positive integer, not '0'"),
    ('bndbox', 'robndbox', 'object 1 has no bndbox; oriented boxes are not read'),
    ('>10<', '>ten<', 'object 1 needs four numbers for xmin, ymin, xmax, ymax, not 3, 4, ten, 20'),
    ('<xmax>10</xmax>', '', 'needs four numbers .* not 3, 4, None, 20'),
    ('<name>ship</name>', '', 'object 1 has no name'),
])
def test_unusable_label(root, old, new, message):
    edit(root, old, new)
    with pytest.raises(LabelError, match=f'^Annotations/00001.xml: .*{message}'):
        DIORReader(root, CLASSES).read('00001')


def test_missing_label_and_broken_image(root):
    (root / 'Annotations' / '00002.xml').unlink()
    with pytest.raises(LabelError, match='^Annotations/00002.xml: the label file is missing$'):
        DIORReader(root, CLASSES).read('00002')
    (root / 'JPEGImages-trainval' / '00001.jpg').write_text('no image')
    with pytest.raises(LabelError, match='00001.jpg: is no image'):
        DIORReader(root, CLASSES).read('00001')


def test_missing_folders_and_lists(root):
    (root / 'ImageSets' / 'Main' / 'val.txt').write_text('\n')
    with pytest.raises(ConversionError, match='val.txt: this list of image ids is empty'):
        DIORReader(root, CLASSES)
    (root / 'ImageSets' / 'Main' / 'val.txt').unlink()
    with pytest.raises(ConversionError, match='val.txt missing; put the official lists'):
        DIORReader(root, CLASSES)
    with pytest.raises(ConversionError, match='Annotations: no such folder'):
        DIORReader(root / 'elsewhere', CLASSES)

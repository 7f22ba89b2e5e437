"""Folders of one's own: which format, which image belongs to a label, which split."""
import json
import shutil

import pytest
from PIL import Image

from mmfreeze.datasets.conversion import ConversionError, LabelError, Report, convert
from mmfreeze.datasets.conversion.custom import open_folder

XML = ('<annotation><size><width>40</width><height>30</height></size><object><name>{name}</name>'
       '<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>10</xmax><ymax>20</ymax></bndbox>'
       '<difficult>{difficult}</difficult></object></annotation>')


def put(root, name, content=None):
    """Writes a text, or an image of 40 x 30 px."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        Image.new('RGB', (40, 30)).save(path)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def coco(names, categories=('ship', 'dam')):
    return dict(
        images=[dict(id=10 + i, file_name=name, width=40, height=30)
                for i, name in enumerate(names)],
        annotations=[dict(id=i, image_id=10 + i, category_id=7, bbox=[1, 2, 3, 4.5], iscrowd=i % 2)
                     for i in range(len(names))],
        categories=[dict(id=7 + i, name=name) for i, name in enumerate(categories)])


def opened(root, **settings):
    return open_folder(root, root / 'converted', **settings)


@pytest.fixture
def voc(tmp_path):
    for number in range(8):
        put(tmp_path, f'JPEGImages/{number}.jpg')
        put(tmp_path, f'Annotations/{number}.xml', XML.format(
            name=('ship', 'dam')[number % 2], difficult=number % 2))
    return tmp_path


@pytest.fixture
def yolo(tmp_path):
    for name in ('train/a', 'train/b', 'val/a'):
        put(tmp_path, f'images/{name}.png')
        put(tmp_path, f'labels/{name}.txt', '1 .5 .5 .5 .5\n')
    put(tmp_path, 'classes.txt', 'ship\ndam\n')
    put(tmp_path, 'readme.txt', 'any text')
    return tmp_path


def test_voc(voc):
    reader = opened(voc)
    assert list(reader.classes) == ['dam', 'ship']
    assert {name: len(ids) for name, ids in reader.splits.items()} == dict(train=6, test=2)
    record = reader.read('JPEGImages/1.jpg')
    assert record.boxes == [('dam', (0, 1, 10, 20), (1, 2, 10, 20), True)]
    convert(reader, voc / 'converted')
    train = json.loads((voc / 'converted/train.json').read_text())
    assert {ann['iscrowd'] for ann in train['annotations']} == {0, 1}
    assert opened(voc).splits == reader.splits  # what was written is not read again
    assert opened(voc, seed=5).splits != reader.splits


def test_yolo_with_split_folders(yolo):
    reader = opened(yolo)
    assert reader.splits == dict(train=['images/train/a.png', 'images/train/b.png'],
                                 val=['images/val/a.png'])
    assert reader.read('images/val/a.png').label == 'labels/val/a.txt'
    assert reader.read('images/val/a.png').boxes[0][:2] == ('dam', (10, 7.5, 30, 22.5))


def test_yolo_image_without_label_is_empty_and_noted(yolo):
    (yolo / 'labels/train/b.txt').unlink()
    report = convert(opened(yolo), yolo / 'converted')
    assert (report.images, report.boxes, report.counts) == (
        3, 2, {Report.UNUSED: 1, Report.UNLABELLED: 1})


def test_coco_with_a_json_per_split(tmp_path):
    for name in ('train2017/a.jpg', 'train2017/b.jpg', 'val2017/a.jpg'):
        put(tmp_path, f'pictures/{name}')
    put(tmp_path, 'annotations/instances_train2017.json', coco(['train2017/a.jpg', 'b.jpg']))
    put(tmp_path, 'annotations/instances_val2017.json', coco(['val2017/a.jpg']))
    put(tmp_path, 'pictures/extra.jpg')
    reader = opened(tmp_path)
    assert list(reader.classes) == ['dam', 'ship']
    report = convert(reader, tmp_path / 'converted')
    assert report.counts == {Report.UNLISTED: 1}
    train = json.loads((tmp_path / 'converted/train.json').read_text())
    assert [image['file_name'] for image in train['images']] == [
        'pictures/train2017/a.jpg', 'pictures/train2017/b.jpg']
    assert [(ann['category_id'], ann['bbox'], ann['iscrowd']) for ann in train['annotations']] == [
        (2, [1, 2, 3, 4.5], 0), (2, [1, 2, 3, 4.5], 1)]


def test_coco_single_json_beside_its_images(tmp_path):
    names = [f'{number}.jpg' for number in range(4)]
    for name in names:
        put(tmp_path, f'all/{name}')
        put(tmp_path, f'thumbnails/{name}')
    put(tmp_path, 'all/labels.json', coco(names))
    reader = opened(tmp_path)
    assert {len(ids) for ids in reader.splits.values()} == {1, 3}
    assert {i for ids in reader.splits.values() for i in ids} == {f'all/{name}' for name in names}


def test_lists(voc, tmp_path_factory):
    put(voc, 'ImageSets/Main/trainval.txt', '1\n0\n')
    put(voc, 'ImageSets/Main/test.txt', './JPEGImages/2.jpg\n')
    reader = opened(voc)
    assert reader.splits == dict(train=['JPEGImages/1.jpg', 'JPEGImages/0.jpg'],
                                 test=['JPEGImages/2.jpg'])
    assert len(reader.findings) == 5
    lists = tmp_path_factory.mktemp('lists')
    put(lists, 'train.txt', '3')
    put(lists, 'val.txt', '4.jpg')
    assert opened(voc, lists=lists).splits == dict(train=['JPEGImages/3.jpg'],
                                                   val=['JPEGImages/4.jpg'])
    (lists / 'val.txt').unlink()
    with pytest.raises(ConversionError, match='only train; training needs train and val or test'):
        opened(voc, lists=lists)
    (lists / 'train.txt').unlink()
    with pytest.raises(ConversionError, match='neither train.txt nor val.txt'):
        opened(voc, lists=lists)


def test_classes_given(voc, yolo):
    assert list(opened(voc, kind='voc', classes=['ship', 'dam', 'cow']).classes) == [
        'ship', 'dam', 'cow']
    with pytest.raises(ConversionError, match='class ship is named twice'):
        opened(voc, kind='voc', classes=['ship', 'ship'])
    (yolo / 'classes.txt').unlink()
    with pytest.raises(ConversionError, match='no classes.txt; put the class names there'):
        opened(yolo, kind='yolo')


def test_format_is_asked_for_where_it_is_not_clear(voc, yolo):
    with pytest.raises(ConversionError, match=r'Annotations/0.xml, labels/train/a.txt; choose one'):
        opened(voc)
    assert len(opened(voc, kind='yolo').label_of) == 3
    with pytest.raises(ConversionError, match='has no coco labels'):
        opened(voc, kind='coco')
    shutil.rmtree(voc / 'Annotations')
    shutil.rmtree(voc / 'labels')
    with pytest.raises(ConversionError, match='has no VOC, YOLO or COCO labels'):
        opened(voc)


def test_ambiguous_names(voc):
    """Both images are in doubt, and neither is taken for one without objects."""
    put(voc, 'JPEGImages/0.png')
    put(voc, 'other/1.xml', XML.format(name='ship', difficult=0))
    reader = opened(voc)
    for name in ('0.png', '0.jpg'):
        with pytest.raises(LabelError, match='Annotations/0.xml may be about it or about another'):
            reader.read(f'JPEGImages/{name}')
    with pytest.raises(LabelError, match='has two label files, Annotations/1.xml and other/1.xml'):
        reader.read('JPEGImages/1.jpg')


def test_links_to_folders_are_followed(voc, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere') / 'JPEGImages'
    (voc / 'JPEGImages').rename(elsewhere)
    (voc / 'JPEGImages').symlink_to(elsewhere)
    assert len(opened(voc).label_of) == 8


def test_yolo_image_named_as_a_list(yolo):
    """Lists lie in known places; elsewhere such a name is a label's."""
    put(yolo, 'images/train/test.jpg')
    (yolo / 'labels/train/test.txt').write_text('0 .5 .5 .5 .5\n')
    report = convert(opened(yolo), yolo / 'converted')
    assert (report.images, report.counts) == (4, {Report.UNUSED: 1})

"""NWPU VHR-10's layout: the real set, and what can be wrong with it."""
import pytest
from PIL import Image

from mmfreeze.datasets import NWPUVHR10Dataset
from mmfreeze.datasets.conversion import ConversionError, LabelError, NWPUVHR10Reader, convert

CLASSES = NWPUVHR10Dataset.METAINFO['classes']


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'nwpu'
    for folder in ('positive image set', 'ground truth', 'image_set'):
        (root / folder).mkdir(parents=True)
    for number, split in ((1, 'train'), (2, 'test')):
        Image.new('RGB', (90, 70)).save(root / 'positive image set' / f'00{number}.jpg')
        (root / 'ground truth' / f'00{number}.txt').write_text(
            ' (3,4), ( 10 ,20 ) ,10 \r\n\r\n(1,1),(90,70),1')
        (root / 'image_set' / f'{split}.txt').write_text(f'00{number}\n')
    return root


def test_whole_set(shared_data, tmp_path):
    report = convert(NWPUVHR10Reader(shared_data('nwpu_vhr10'), CLASSES), tmp_path)
    assert report.boxes_per_class == {
        'airplane': 757, 'ship': 302, 'storage tank': 655, 'baseball diamond': 390,
        'tennis court': 524, 'basketball court': 159, 'ground track field': 163, 'harbor': 224,
        'bridge': 124, 'vehicle': 598}
    assert (report.images, report.boxes, report.findings) == (650, 3896, [])
    assert {name: count.images for name, count in report.splits.items()} == dict(
        train=454, test=196)


@pytest.mark.parametrize('separator', [' ', '_'])
def test_record(root, separator):
    for name in ('positive image set', 'ground truth'):
        (root / name).rename(root / name.replace(' ', separator))
    record = NWPUVHR10Reader(root, CLASSES).read('001')
    assert record.file_name == f'positive{separator}image{separator}set/001.jpg'
    assert (record.width, record.height) == (90, 70)
    assert [(box.name, box.corners) for box in record.boxes] == [
        ('vehicle', (2, 3, 10, 20)), ('airplane', (0, 0, 90, 70))]


@pytest.mark.parametrize('line, message', [
    ('(1,2),(3,4)', r"line 2: expected \(x1,y1\),\(x2,y2\),class, not '\(1,2\),\(3,4\)'"),
    ('(1 2,3),(4,5),1', 'line 2: expected'),
    ('(1,2),(3,4),11', 'line 2: class 11 is not one of 1 to 10'),
    ('(1,2),(3,4),0', 'line 2: class 0 is not one of 1 to 10'),
])
def test_unusable_line(root, line, message):
    (root / 'ground truth' / '001.txt').write_text(f'(1,2),(3,4),1\n{line}\n')
    with pytest.raises(LabelError, match=f'^ground truth/001.txt, {message}'):
        NWPUVHR10Reader(root, CLASSES).read('001')


def test_missing_files(root):
    (root / 'positive image set' / '001.jpg').unlink()
    with pytest.raises(LabelError, match='positive image set/001.jpg: the image is missing'):
        NWPUVHR10Reader(root, CLASSES).read('001')
    (root / 'ground truth' / '001.txt').unlink()
    with pytest.raises(LabelError, match='ground truth/001.txt: the label file is missing'):
        NWPUVHR10Reader(root, CLASSES).read('001')


def test_without_split_says_what_to_put_there(root):
    (root / 'image_set' / 'test.txt').unlink()
    with pytest.raises(ConversionError, match='no official split, so put two lists of image ids'):
        NWPUVHR10Reader(root, CLASSES)


def test_missing_folder(tmp_path):
    with pytest.raises(ConversionError, match='positive image set: no such folder'):
        NWPUVHR10Reader(tmp_path, CLASSES)

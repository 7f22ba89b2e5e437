"""Labels damaged at random: what is written is always sound, and everything else is one error."""
import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from mmfreeze.datasets import DIORDataset, NWPUVHR10Dataset, RSODDataset, SIMDDataset
from mmfreeze.datasets.conversion import (ConversionError, DIORReader, NWPUVHR10Reader, RSODReader,
                                          SIMDReader, convert)
from mmfreeze.datasets.conversion.custom import open_folder

XML = ('<annotation><filename>1.jpg</filename><size><width>40</width><height>30</height></size>'
       + ''.join(f'<object><name>overpass</name><bndbox><xmin>{x}</xmin><ymin>4</ymin><xmax>'
                 f'{x + 6}</xmax><ymax>20</ymax></bndbox></object>' for x in (3, 15, 27))
       + '</annotation>')
JSON = json.dumps(dict(
    images=[dict(id=1, file_name='1.jpg'), dict(id=2, file_name='2.jpg')],
    categories=[dict(id=1, name='ship')],
    annotations=[dict(id=i, image_id=1, category_id=1, bbox=[3, i, 6.5, 7]) for i in range(3)]))
BITS = ('-', '9', '0', '.', 'e9', 'nan', 'inf', ' ', '\n', '<', '>', '"', ',', '1' * 400, '\0',
        'ä', '\ud800', '..', '/', '[', '{', 'null', 'true')


# A place (as a share of the text), how much goes there, and what comes instead (None: it doubles).
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from((0, 1, 5)),
              st.one_of(st.none(), st.just(''), st.sampled_from(BITS), st.text(max_size=4),
                        st.floats().map(str), st.integers().map(str))),
    min_size=1, max_size=2)


def damaged(text, changes):
    """Deletes, doubles or inserts something in one or two places."""
    for share, length, new in changes:
        place = int(share * len(text))
        end = place + length
        text = text[:place] + (text[place:end] * 2 if new is None else new) + text[end:]
    return text.encode('utf-8', 'surrogatepass')


def put(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        Image.new('1', (40, 30)).save(path, format='png')
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def dior(root):
    for name in '12':
        put(root / f'JPEGImages/{name}.jpg')
        put(root / f'Annotations/{name}.xml', XML.replace('1.jpg', f'{name}.jpg'))
    for split, name in dict(train='1', val='1', test='2').items():
        put(root / f'ImageSets/{split}.txt', name)
    return 'Annotations/1.xml', lambda: DIORReader(root, DIORDataset.METAINFO['classes'])


def nwpu(root):
    for name, split in (('1', 'train'), ('2', 'test')):
        put(root / f'positive_image_set/{name}.jpg')
        put(root / f'ground_truth/{name}.txt', '(3,4),(10,20),2\n(5,5),(40,30),1\n')
        put(root / f'image_set/{split}.txt', name)
    return 'ground_truth/1.txt', lambda: NWPUVHR10Reader(
        root, NWPUVHR10Dataset.METAINFO['classes'])


def simd(root):
    for name, split in (('1', 'training'), ('2', 'validation'), ('3', 'testing')):
        put(root / f'images/{name}.jpg')
        put(root / f'images/{name}.txt', '0 .5 .5 .25 .25\n14 0.9 0.9 0.2 0.2\n')
        put(root / f'{split}.txt', f'./images/{name}.jpg')
    return 'images/1.txt', lambda: SIMDReader(root, SIMDDataset.METAINFO['classes'])


def rsod(root):
    for folder in RSODDataset.METAINFO['classes']:
        for name in '12':
            put(root / folder / f'JPEGImages/{name}.jpg')
            put(root / folder / f'Annotation/labels/{name}.txt',
                f'{name}.jpg\t{folder}\t3\t4\t10\t20\n{name}.jpg\t{folder}\t-3\t4\t10.5\t50\n')
    return 'oiltank/Annotation/labels/1.txt', lambda: RSODReader(
        root, RSODDataset.METAINFO['classes'])


def coco(root):
    put(root / '1.jpg')
    put(root / '2.jpg')
    put(root / 'all.json', JSON)
    return 'all.json', lambda: open_folder(root, root / 'none')


def voc(root):
    for name in '1234':
        put(root / f'images/{name}.jpg')
        put(root / f'labels/{name}.xml', XML.replace('1.jpg', f'{name}.jpg'))
    return 'labels/1.xml', lambda: open_folder(root, root / 'none')


def yolo(root):
    for name in '1234':
        put(root / f'images/{name}.jpg')
        put(root / f'labels/{name}.txt', '0 .5 .5 .25 .25\n1 0.9 0.9 0.2 0.2\n')
    put(root / 'classes.txt', 'ship\ndam\n')
    return 'labels/1.txt', lambda: open_folder(root, root / 'none')


def lists(root):
    dior(root)
    return 'ImageSets/train.txt', lambda: DIORReader(root, DIORDataset.METAINFO['classes'])


@pytest.mark.parametrize('on_error', ['fail', 'skip'])
@pytest.mark.parametrize('layout', [dior, nwpu, simd, rsod, voc, yolo, coco, lists])
def test_output_is_sound_or_absent(layout, on_error, tmp_path):
    label, make_reader = layout(tmp_path / 'set')
    text = (tmp_path / 'set' / label).read_text()
    ways = Counter()

    # The same damage in every run, so that a failure can be looked into.
    @settings(derandomize=True, database=None, deadline=None, max_examples=60)
    @given(CHANGES)
    def check(changes):
        put(tmp_path / 'set' / label, damaged(text, changes))
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            out = Path(folder, 'out')
            try:
                report = convert(make_reader(), out, on_error)
            except ConversionError as error:
                ways['refused'] += 1
                assert str(error) and not out.exists()
            else:
                ways['written'] += 1
                assert sound_boxes(out) == sum(count.boxes for count in report.splits.values())

    check()
    # Where images are skipped, damage to one label seldom leaves too little to write.
    assert ways['written'] and (ways['refused'] or on_error == 'skip'), ways


def sound_boxes(out):
    """Reads every json as pycocotools does, and counts the boxes, which all lie in their images."""
    count = 0
    for path in out.glob('*.json'):
        truth = COCO(str(path))
        count += len(truth.anns)
        for annotation in truth.anns.values():
            image = truth.imgs[annotation['image_id']]
            x, y, width, height = annotation['bbox']
            assert 0 <= x and 0 <= y and 0 < width and 0 < height
            assert x + width <= image['width'] + 1e-9
            assert y + height <= image['height'] + 1e-9
    return count

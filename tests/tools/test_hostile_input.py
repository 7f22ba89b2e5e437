"""What a hostile or broken folder does to the converters: one clear line, and nothing written."""
import errno
import os
from typing import Callable, NamedTuple, Optional

import pytest
from hostile_folders import (EXTERNAL, I1, IDS, LAUGHS, LAYOUTS, PIXEL_BOMB, TEXT_BOMB, X1, content,
                             cut, edit, edit_json, instead, put, put_image, scramble)
from PIL import Image


class Case(NamedTuple):
    """One kind of trouble: the layout, what breaks it, what the first line says, and how many
    images ``--on-error skip`` leaves out (None: it does not help)."""
    layout: str
    damage: Callable
    line: str
    left_out: Optional[int] = None
    options: tuple = ()


CASES = {
    # xml
    'truncated xml': Case('dior', edit(X1, '</object></annotation>', ''),
                          f'{X1}: cannot be read as xml', 1),
    'binary xml': Case('dior', content(X1, bytes(range(256))), f'{X1}: cannot be read as xml', 1),
    'empty xml': Case('voc', content('labels/01.xml', ''), 'labels/01.xml: cannot be read', 1),
    'entity bomb': Case('dior', content(X1, LAUGHS),
                        f'{X1}: cannot be read as xml, for it declares entities', 1),
    'external entity': Case('dior', content(X1, EXTERNAL),
                            f'{X1}: cannot be read as xml, for it declares entities', 1),
    'endlessly nested xml': Case('dior', content(X1, '<a>' * 200_000), f'{X1}: cannot be read', 1),
    'xml not in the encoding it declares': Case(
        'dior', content(X1, '<annotation>ä</annotation>'.encode('latin-1')),
        f'{X1}: cannot be read as xml', 1),
    'xml in an unknown encoding': Case(
        'dior', content(X1, '<?xml version="1.0" encoding="klingon"?><annotation/>'),
        f'{X1}: cannot be read as xml', 1),
    'xml about another image': Case('voc', edit('labels/01.xml', '01.jpg', '02.jpg'),
                                    "labels/01.xml: is about another image, '02.jpg'", 1),
    'giant number': Case('dior', edit(X1, '>40<', f'>{"9" * 5000}<'),
                         f'{X1}: size/width must be a positive integer', 1),
    # names that leave the folder
    'xml file name that leaves the folder': Case(
        'dior', edit(X1, '01.jpg', '../../01.jpg'), f"{X1}: '../../01.jpg' leaves the folder", 1),
    'id that leaves the folder': Case('nwpu', content('image_set/train.txt', '../../etc/passwd'),
                                      "train.txt: '../../etc/passwd' leaves the folder"),
    'listed path that leaves the folder': Case(
        'simd', content('training.txt', './images/../../01.jpg'), 'leaves the folder'),
    'absolute path in json': Case(
        'coco', edit_json(lambda c: c['images'][0].update(file_name='/etc/passwd')),
        "all.json: '/etc/passwd' leaves the folder", 1),
    'climbing with backslashes': Case(
        'coco', edit_json(lambda c: c['images'][0].update(file_name='..\\..\\01.jpg')),
        'leaves the folder', 1),
    # things that are no files
    'link to itself as label': Case(
        'dior', instead(X1, lambda path: path.symlink_to(path)), f'{X1}: cannot be read (Too', 1),
    'link to itself as image': Case(
        'dior', instead(I1, lambda path: path.symlink_to(path)),
        f'{I1}: cannot be decoded (Too many', 1),
    'circle of folders': Case(
        'voc', lambda root: (root / 'labels/again').symlink_to(root),
        'again: a link that leads back to a folder above it; remove it'),
    'pipe as label': Case('dior', instead(X1, os.mkfifo), f'{X1}: is no regular file', 1),
    'pipe as image': Case('voc', instead('images/01.jpg', os.mkfifo),
                          'images/01.jpg: is no regular file', 1),
    'folder as label': Case('simd', instead('images/01.txt', os.mkdir),
                            'images/01.txt: is no regular file', 1),
    'file name not in UTF-8': Case(
        'voc', lambda root: put(root / os.fsdecode(b'images/\xff.jpg'), b''),
        'this name is not in UTF-8'),
    # images
    'truncated jpeg': Case('dior', cut(I1), f'{I1}: cannot be decoded (image file is truncated', 1),
    'truncated png': Case('dior', cut(I1, 'png'), f'{I1}: cannot be decoded', 1),
    'truncated tiff': Case('dior', cut(I1, 'tiff'), f'{I1}: ', 1),
    'text as image': Case('dior', content(I1, 'no image'), f'{I1}: is no image', 1),
    'empty image': Case('rsod', content('aircraft/JPEGImages/01.jpg', ''),
                        'aircraft/JPEGImages/01.jpg: is no image', 1),
    'image broken inside': Case('dior', scramble, f'{I1}: cannot be decoded', 1,
                                ('--check-images',)),
    'decompression bomb': Case('dior', content(I1, PIXEL_BOMB), f'{I1}: has more than', 1),
    'decompression bomb in a text': Case('dior', content(I1, TEXT_BOMB), f'{I1}: cannot be', 1),
    'missing image': Case('rsod', lambda root: (root / 'aircraft/JPEGImages/01.jpg').unlink(),
                          'aircraft/JPEGImages/01.jpg: the image is missing', 1),
    # labels
    'missing label': Case('voc', lambda root: (root / 'labels/01.xml').unlink(),
                          'images/01.jpg: has no xml of the same name', 1),
    'label without image': Case('voc', lambda root: (root / 'images/01.jpg').unlink(),
                                'labels/01.xml: the image of this name is missing', 1),
    'no number in xml': Case('voc', edit('labels/01.xml', '>10<', '>NaN<'),
                             'object 1 needs four numbers for xmin, ymin, xmax, ymax', 1),
    'unknown class': Case('dior', edit(X1, 'ship', 'boat'), f"{X1}: unknown class 'boat'", 1),
    'unknown class number': Case('simd', content('images/01.txt', '99 .5 .5 .5 .5'),
                                 'images/01.txt, line 1: class 99 is not one of 0 to 14', 1),
    'NaN in text': Case('simd', content('images/01.txt', '0 nan .5 .5 .5'),
                        'images/01.txt, line 1: expected class cx cy', 1),
    'NaN in json': Case(
        'coco', edit_json(lambda c: c['annotations'][0].update(bbox=[1, 2, float('nan'), 4])),
        'all.json, images/01.jpg: object 1 needs four numbers', 1),
    'pixels for fractions': Case('yolo', content('images/01.txt', '0 20 15 5 5'),
                                 'are no fractions of the image', 1),
    'word as coordinate': Case('rsod', edit('aircraft/Annotation/labels/01.txt', '\t10', '\tten'),
                               'labels/01.txt, line 1: expected image, class', 1),
    'label not in UTF-8': Case('nwpu', content('ground_truth/01.txt', b'(3,4),\xff'),
                               'ground_truth/01.txt: is not in UTF-8', 1),
    'oriented box': Case('dior', edit(X1, 'bndbox', 'robndbox'), 'oriented boxes are not read', 1),
    # lists and names
    'empty list': Case('simd', content('validation.txt', ' \n\n'), 'image ids is empty'),
    'list that names missing files': Case('simd', content('training.txt', 'images/07.jpg'),
                                          'images/07.jpg: the image is missing', 1),
    'own list that names missing files': Case(
        'voc', lambda root: [put(root / 'train.txt', '01\n77'), put(root / 'test.txt', '02')],
        'train.txt: the image 77 is missing', 1),
    'list not in UTF-8': Case('dior', content('ImageSets/val.txt', b'\xff\xfe0\x003'),
                              'val.txt: is not in UTF-8'),
    'missing list': Case('nwpu', lambda root: (root / 'image_set/test.txt').unlink(),
                         'image_set: test.txt missing; NWPU VHR-10 has no official split'),
    'two images of one name': Case('voc', lambda root: put_image(root / 'images/01.png'),
                                   'rename or remove one', 2),
    'split without a usable image': Case(
        'dior', lambda root: [put(root / f'JPEGImages/{name}.jpg', '') for name in IDS[4:]],
        'is no image'),
    'other classes than the set has': Case('simd', content('classes.txt', 'cat\ndog'),
                                           'classes.txt: is not SIMD\'s list'),
    # json
    'broken json': Case('coco', content('all.json', '{"images": ['), 'cannot be read as json'),
    'endlessly nested json': Case('coco', content('all.json', '[' * 200_000),
                                  'all.json: cannot be read as json'),
    'other json': Case('coco', content('all.json', '[1, 2]'), 'has no list "images"'),
    'json not in UTF-8': Case('coco', content('all.json', b'{"\xff": 1}'), 'is not in UTF-8'),
    'image twice in json': Case(
        'coco', edit_json(lambda c: c['images'][1].update(file_name='01.jpg')),
        'all.json: image 2, images/01.jpg, has the id or the name of another'),
    'category twice in json': Case(
        'coco', edit_json(lambda c: c['categories'].append(dict(id=2, name='ship'))),
        'all.json: category 2 has the id or the name of another'),
    'annotation of an unknown image': Case(
        'coco', edit_json(lambda c: c['annotations'][2].update(image_id=99)),
        'all.json: annotation 3 has an unknown image_id, 99'),
    'annotation without class': Case('coco', edit_json(lambda c: c['annotations'][2].pop(
        'category_id')), 'all.json: annotation 3 has no usable "category_id"'),
    'image without name': Case('coco', edit_json(lambda c: c['images'].insert(0, None)),
                               'all.json: image 1 has no usable "id"'),
}


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def good(tmp_path, run_tool):
    """Returns a function that makes a layout, converts it, and returns (root, out, convert)."""
    def make(layout):
        build, tool = LAYOUTS[layout]
        root, out = tmp_path / 'set', tmp_path / 'out'
        build(root)
        if layout == 'yolo':
            put(root / 'classes.txt', 'ship\n')

        def convert(*options):
            return run_tool(f'dataset_converters/{tool}.py', root, '--out', out, *options)
        assert convert().code == 0
        return root, out, convert
    return make


@pytest.mark.parametrize('case', CASES.values(), ids=CASES.keys())
def test_one_line_and_nothing_written(good, case):
    root, out, convert = good(case.layout)
    before = snapshot(out)
    case.damage(root)
    done = convert(*case.options)
    lines = done.err.splitlines()
    assert done.code == 1 and not done.out
    assert case.line in lines[0] and lines[-1] == 'nothing was written'
    # a line for each image in trouble, and one that counts them
    assert len(lines) <= (case.left_out or 2) + 2, lines
    assert max(map(len, lines)) < 400
    assert snapshot(out) == before

    done = convert('--on-error', 'skip', *case.options)
    if case.left_out is None:
        assert done.code == 1 and snapshot(out) == before
        return
    assert done.code == 0 and f'images left out: {case.left_out}\n' in done.out
    assert f'  {lines[0]}\n' in (out / 'conversion_report.txt').read_text()


MENDED = {
    'inverted box': ('dior', edit(X1, '>10<', '>1<'), 'boxes dropped, no area', f'{X1}: object 1'),
    'negative width': ('simd', content('images/01.txt', '0 .5 .5 -.1 .1\n1 .5 .5 .1 .1'),
                       'boxes dropped, no area', 'images/01.txt: object 1'),
    'box outside': ('coco', edit_json(lambda c: c['annotations'][0].update(bbox=[90, 1, 5, 5])),
                    'boxes dropped, outside the image', 'all.json, images/01.jpg: object 1'),
    'box that leaves the image': ('rsod', edit('aircraft/Annotation/labels/01.txt', '\t3\t',
                                               '\t-9\t'),
                                  'boxes clipped to the image', 'labels/01.txt: object 1'),
    'image of another size': ('voc', lambda root: put_image(root / 'images/01.jpg', (50, 60)),
                              'images of another size than their label says', 'says 40 x 30'),
    'turned image': ('voc', lambda root: Image.new('RGB', (30, 40)).save(
        root / 'images/01.jpg', exif=b'Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0'
        b'\0\0\0\0\0\0'), None, None),
    'image listed twice': ('nwpu', content('image_set/train.txt', '01\n02\n01'),
                           'images listed more than once in a split, taken once', 'train: 01'),
    'image both in training and test': ('nwpu', content('image_set/train.txt', '01\n05'),
                                        'images in two splits that should share none',
                                        'train and test: 05'),
    'image without label': ('yolo', lambda root: (root / 'images/01.txt').unlink(),
                            'images without a label file, taken as empty', 'images/01.jpg'),
    'image that json does not know': ('coco', lambda root: put_image(root / 'images/07.jpg'),
                                      'images in no split, not used', 'images/07.jpg'),
}


@pytest.mark.parametrize('layout, damage, heading, line', MENDED.values(), ids=MENDED.keys())
def test_what_is_mended_is_counted_and_listed(good, layout, damage, heading, line):
    root, out, convert = good(layout)
    damage(root)
    done = convert()
    assert done.code == 0 and not done.err
    report = (out / 'conversion_report.txt').read_text()
    if heading is None:
        assert 'another size' not in report
        return
    assert f'  {heading}: 1\n' in done.out
    listed = report.split(f'\n\n{heading}: 1\n')[1].split('\n')[0]
    assert line in listed


def full(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')


def read_only(*_, **__):
    raise OSError(errno.EROFS, 'Read-only file system')


@pytest.mark.parametrize('target, failure, words', [
    ('os.fsync', full, 'No space left on device'),
    ('os.replace', full, 'No space left on device'),
    ('mmfreeze.utils.files.open', read_only, 'Read-only file system'),
    ('pathlib.Path.mkdir', read_only, 'Read-only file system'),
])
def test_output_that_cannot_be_written(good, monkeypatch, target, failure, words):
    """Tests may run as root, for whom no folder is read-only: the failing call is put in place."""
    root, out, convert = good('dior')
    before = snapshot(out)
    edit(X1, 'ship', 'dam')(root)
    monkeypatch.setattr(target, failure, raising=False)
    done = convert()
    assert done.code == 1 and done.err.count('\n') == 1
    assert f'{out}: cannot be written' in done.err and words in done.err
    assert snapshot(out) == before


def test_folder_in_the_place_of_an_output_file(good):
    root, out, convert = good('dior')
    (out / 'val.json').unlink()
    (out / 'val.json').mkdir()
    before = (out / 'train.json').read_bytes()
    edit(X1, 'ship', 'dam')(root)
    done = convert()
    assert done.code == 1
    assert done.err.startswith(f'{out}/val.json: is a folder where a file is to be written')
    assert (out / 'train.json').read_bytes() == before


def test_there_are_enough_kinds():
    assert len(CASES) >= 25

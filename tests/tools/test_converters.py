"""The converters' command lines."""
import runpy
import shutil
from pathlib import Path

import pytest
from PIL import Image

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


def tool(name):
    return runpy.run_path(str(TOOLS / f'{name}.py'))['main']


@pytest.fixture(scope='module')
def dior(tmp_path_factory):
    """A few images in DIOR's layout and in DIOR's own classes: the toy set's are among them."""
    root = tmp_path_factory.mktemp('data') / 'dior'
    sizes = ['--train', '4', '--test', '2', '--size', '64']
    assert tool('make_toy')(['--out', str(root), *sizes]) == 0
    return root


def test_dior(dior, tmp_path, capsys):
    assert tool('dior')([str(dior), '--out', str(tmp_path / 'out')]) == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'conversion_report.txt', 'test.json', 'train.json', 'trainval.json', 'val.json']
    out = capsys.readouterr().out
    assert '6 images' in out and 'conversion_report.txt' in out


def test_make_toy_refuses_a_folder_in_use(dior, capsys):
    before = sorted(dior.rglob('*'))
    assert tool('make_toy')(['--out', str(dior)]) == 1
    assert capsys.readouterr().err == f'{dior}: exists already; remove it or choose another --out\n'
    assert sorted(dior.rglob('*')) == before


def test_fail_skip_and_labels_only(dior, tmp_path, capsys):
    for folder in ('Annotations', 'ImageSets', 'JPEGImages-trainval'):
        (tmp_path / folder).symlink_to(dior / folder)
    (tmp_path / 'JPEGImages-test').mkdir()
    shutil.copy(dior / 'JPEGImages-test/00006.png', tmp_path / 'JPEGImages-test')
    main = tool('dior')
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        'JPEGImages-test/00005.png: the image is missing',
        '1 of 6 images cannot be used; --on-error skip would leave them out',
        'nothing was written']
    assert not (tmp_path / 'annotations').exists()
    assert main([str(tmp_path), '--on-error', 'skip']) == 0
    assert 'images left out: 1' in capsys.readouterr().out
    assert main([str(tmp_path), '--labels-only']) == 0
    assert '6 images' in capsys.readouterr().out


def test_reject(dior, tmp_path, capsys):
    for folder in ('ImageSets', 'JPEGImages-trainval', 'JPEGImages-test'):
        (tmp_path / folder).symlink_to(dior / folder)
    (tmp_path / 'Annotations').mkdir()
    for path in (dior / 'Annotations').iterdir():
        text = path.read_text()
        (tmp_path / 'Annotations' / path.name).write_text(text.replace(
            '</segmented>', '</segmented><object><name>dam</name><bndbox><xmin>3</xmin>'
            '<ymin>3</ymin><xmax>99</xmax><ymax>9</ymax></bndbox></object>'))
    main = tool('dior')
    assert main([str(tmp_path), '--on-defect', 'reject']) == 1
    assert 'Annotations/00001.xml: object 1, dam (3, 3, 99, 9)' in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert 'boxes clipped to the image: 6' in capsys.readouterr().out


def test_nwpu(tmp_path, capsys):
    for folder in ('positive image set', 'ground truth', 'image_set'):
        (tmp_path / folder).mkdir()
    main = tool('nwpu')
    assert main([str(tmp_path)]) == 1
    assert 'no official split' in capsys.readouterr().err
    for number, split in ((1, 'train'), (2, 'test')):
        (tmp_path / 'image_set' / f'{split}.txt').write_text(f'00{number}')
        (tmp_path / 'ground truth' / f'00{number}.txt').write_text('(1,1),(9,9),2')
        Image.new('RGB', (20, 20)).save(tmp_path / 'positive image set' / f'00{number}.jpg')
    assert main([str(tmp_path)]) == 0
    assert '2 images, 2 boxes kept, 0 dropped' in capsys.readouterr().out
    assert (tmp_path / 'annotations' / 'train.json').is_file()


def test_output_that_cannot_be_written(dior, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert tool('dior')([str(dior), '--out', str(tmp_path / 'file')]) == 1
    assert 'cannot be written' in capsys.readouterr().err

"""data/README.md's command sequences, line by line: convert, look, train, measure, detect.

Real labels and images where there are any; the models are cut down, for what is tested is that
the commands and configs fit the sets.
"""
import csv
import re
import shlex
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from mmfreeze.datasets import RSODDataset
from mmfreeze.datasets.toy import generate_toy

ROOT = Path(__file__).resolve().parents[2]
SIDE = '(128,128)'
SMALL = [
    'model.backbone.init_cfg=None', 'model.backbone.img_size=128', 'model.backbone.embed_dim=48',
    'model.backbone.num_heads=2', 'model.neck.in_channels=48', 'train_cfg.max_epochs=1',
    'model.train_cfg.rcnn.sampler.num=64', 'model.test_cfg.rcnn.score_thr=.001',
    'model.train_cfg.rpn_proposal.max_per_img=200', 'model.test_cfg.rpn.max_per_img=20',
    'train_dataloader.batch_size=2',
    f'train_dataloader.dataset.pipeline.2.scale={SIDE}',
    f'train_dataloader.dataset.pipeline.3.crop_size={SIDE}',
    f'train_dataloader.dataset.pipeline.6.size={SIDE}',
    *(f'{split}_dataloader.dataset.pipeline.{step}={SIDE}' for split in ('val', 'test')
      for step in ('1.scale', '2.size')),
    *(f'{split}_dataloader.{workers}' for split in ('train', 'val', 'test')
      for workers in ('num_workers=0', 'persistent_workers=False'))]


def dior(root, shared_data):
    """Eight real images with their labels; they are all of DIOR's test set but one."""
    source = shared_data('dior')
    ids = sorted(path.stem for path in (source / 'JPEGImages').iterdir())
    with tarfile.open(source / 'dior_hbb_xml_all_23463.tar.gz') as archive:
        for name in ids:
            archive.extract(f'Annotations/{name}.xml', root, filter='data')
    for folder, names in (('JPEGImages-trainval', ids[:5]), ('JPEGImages-test', ids[5:])):
        (root / folder).mkdir()
        for name in names:
            (root / folder / f'{name}.jpg').symlink_to(source / f'JPEGImages/{name}.jpg')
    write_lists(root / 'ImageSets/Main', train=ids[:3], val=ids[3:5], test=ids[5:])


def nwpu(root, shared_data):
    source = shared_data('nwpu_vhr10')
    (root / 'ground truth').symlink_to(source / 'ground_truth')
    (root / 'positive image set').mkdir()
    for number in range(1, 8):
        name = f'{number:03}.jpg'
        (root / 'positive image set' / name).symlink_to(source / 'positive_image_set' / name)
    write_lists(root / 'image_set', train=['001', '002', '003', '004'], test=['005', '006', '007'])


def simd(root, shared_data):
    source = shared_data('simd')
    (root / 'images').mkdir()
    images = sorted((source / 'images').glob('*.jpg'))[:8]
    for image in images:
        for path in (image, image.with_suffix('.txt')):
            (root / 'images' / path.name).symlink_to(path)
    names = [f'./images/{image.name}' for image in images]
    write_lists(root, training=names[:3], validation=names[3:5], testing=names[5:])


def rsod(root, shared_data):
    """Real aircraft labels on grey images of the real sizes; one invented label per other class."""
    boxes = {}
    with open(shared_data('rsod') / 'aircraft_boxes_pixels.csv') as file:
        for row in csv.DictReader(file):
            boxes.setdefault(row['image'].removesuffix('.jpg'), []).append(row)
    for name in RSODDataset.METAINFO['classes']:
        labels, images = root / name / 'Annotation/labels', root / name / 'JPEGImages'
        labels.mkdir(parents=True)
        images.mkdir()
        invented = dict(width='400', height='300', xmin='30', ymin='40', xmax='90', ymax='100')
        samples = (dict(list(boxes.items())[:4]) if name == 'aircraft' else
                   {f'{name}_1': [invented], f'{name}_2': [invented]})
        for stem, rows in samples.items():
            size = int(rows[0]['width']), int(rows[0]['height'])
            Image.new('RGB', size, (90, 100, 90)).save(images / f'{stem}.jpg')
            (labels / f'{stem}.txt').write_text('\n'.join('\t'.join(
                [f'{stem}.jpg', name, *(row[key] for key in ('xmin', 'ymin', 'xmax', 'ymax'))])
                for row in rows))


def mine(root, _):
    root.rmdir()
    generate_toy(root, 6, 2, 96, 0)
    # What a folder of one's own has: images and labels, nothing of DIOR's.
    for name in ('annotations', 'ImageSets'):
        (root / name).rename(root.parent / name)


def write_lists(folder, **lists):
    folder.mkdir(parents=True, exist_ok=True)
    for name, ids in lists.items():
        (folder / f'{name}.txt').write_text('\n'.join(ids) + '\n')


def commands(heading):
    """The tools and arguments of a section's command sequence."""
    text = (ROOT / 'data/README.md').read_text()
    section = re.search(rf'^## {heading}\n(.*?)(?=^## |\Z)', text, re.M | re.S)[1]
    lines = re.findall(r'^python tools/(.*)$', section, re.M)
    return [shlex.split(line.replace('epoch_65', 'epoch_1')) for line in lines]


@pytest.mark.parametrize('heading, lay, folder, images', [
    ('DIOR', dior, 'dior', 3), ('NWPU VHR-10', nwpu, 'nwpu_vhr10', 7), ('SIMD', simd, 'simd', 8),
    ('RSOD', rsod, 'rsod', 2), ("A set of one's own", mine, 'mine', 8)])
def test_section(heading, lay, folder, images, shared_data, tmp_path, monkeypatch, run_tool):
    (tmp_path / 'data' / folder).mkdir(parents=True)
    lay(tmp_path / 'data' / folder, shared_data)
    (tmp_path / 'configs').mkdir()
    for path in (ROOT / 'configs').iterdir():
        (tmp_path / 'configs' / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)

    convert, browse, train, measure, detect = commands(heading)
    done = run_tool(*convert)
    assert done.code == 0 and ' 0 dropped' in done.out, done.err
    done = run_tool(*browse, '--cfg-options', *SMALL)
    assert done.code == 0 and list(Path('browsed').rglob('*.jpg')), done.err
    assert sum(map(int, re.findall(r': (\d+) objects', done.out))) > 0
    done = run_tool(*train, '--cfg-options', *SMALL)
    assert done.code == 0 and '12 freezable layers' in done.out, done.err
    done = run_tool(*measure, '--cfg-options', *SMALL)
    assert done.code == 0 and re.search(r'AP50', done.out), done.err
    done = run_tool(*detect, '--cfg-options', *SMALL)
    assert done.code == 0, done.err
    out = Path(detect[-1])
    found = COCO(str(out / 'detections.json'))
    assert len(found.imgs) == images == len([p for p in (out / 'vis').rglob('*') if p.is_file()])

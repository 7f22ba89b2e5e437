"""Writes the toy set in DIOR's own layout, and converts it by DIOR's path."""
import shutil
from pathlib import Path
from typing import Dict, List, Sequence, Union

import numpy as np

from ..conversion import ConversionError, DIORReader, Report, convert
from .dataset import ToyDataset
from .scene import ToyDifficulty, ToyObject, draw_scene


def generate_toy(out_dir: Union[str, Path], train: int = 280, test: int = 60, size: int = 160,
                 seed: int = 0) -> Report:
    """Draws the toy set into a new folder, in DIOR's layout, and converts it to COCO json.

    As in DIOR, ids are consecutive, the first half of trainval is train and the second is val.
    The same arguments give the same pixels and labels on every machine, and an image does not
    depend on how many others there are. Everything is made in a folder beside ``out_dir`` that
    takes its name at the end.

    Args:
        out_dir: The folder to make.
        train: The number of images in trainval, 2 at least.
        test: The number of images in test.
        size: The images' side in pixels.
        seed: What the images are drawn from.

    Returns:
        The conversion's report.

    Raises:
        ConversionError: If the folder exists and holds anything, or a number is too small.
    """
    out_dir = Path(out_dir)
    if train < 2 or test < 1 or size < 64:
        raise ConversionError('the toy set needs --train 2, --test 1 and --size 64 at least')
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise ConversionError(f'{out_dir}: exists already; remove it or choose another --out')
    partial = out_dir.with_name(f'.{out_dir.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    ids = [f'{number:05d}' for number in range(1, train + test + 1)]
    splits = dict(train=ids[:train // 2], val=ids[train // 2:train], trainval=ids[:train],
                  test=ids[train:])
    _write_lists(partial / 'ImageSets' / 'Main', splits)
    for stream, split in enumerate(('trainval', 'test')):
        _draw_split(partial, split, splits[split], size, (seed, stream))
    report = convert(DIORReader(partial, ToyDataset.METAINFO['classes']), partial / 'annotations')
    if out_dir.exists():
        out_dir.rmdir()
    partial.rename(out_dir)
    return report


def _write_lists(folder: Path, splits: Dict[str, List[str]]) -> None:
    folder.mkdir(parents=True)
    for name, ids in splits.items():
        text = ''.join(f'{image_id}\r\n' for image_id in ids)
        (folder / f'{name}.txt').write_text(text, encoding='ascii', newline='')


def _draw_split(root: Path, split: str, ids: Sequence[str], size: int,
                streams: Sequence[int]) -> None:
    images, labels = root / f'JPEGImages-{split}', root / 'Annotations'
    images.mkdir()
    labels.mkdir(exist_ok=True)
    for number, image_id in enumerate(ids):
        rng = np.random.default_rng((*streams, number))
        image, objects = draw_scene(rng, size, ToyDifficulty())
        # png, for jpeg's pixels depend on the encoder; the folder keeps DIOR's name.
        image.save(images / f'{image_id}.png')
        xml = _dior_xml(f'{image_id}.png', size, objects)
        (labels / f'{image_id}.xml').write_text(xml, encoding='ascii', newline='')


def _dior_xml(file_name: str, size: int, objects: Sequence[ToyObject]) -> str:
    """Returns a label file with the fields, tabs and CRLF line ends of DIOR's."""
    lines = ['<annotation>', f'\t<filename>{file_name}</filename>', '\t<source>',
             '\t\t<database>toy</database>', '\t</source>', '\t<size>',
             f'\t\t<width>{size}</width>', f'\t\t<height>{size}</height>', '\t\t<depth>3</depth>',
             '\t</size>', '\t<segmented>0</segmented>']
    for name, box in objects:
        corners = zip(('xmin', 'ymin', 'xmax', 'ymax'), box)
        lines += ['\t<object>', f'\t\t<name>{name}</name>', '\t\t<pose>Unspecified</pose>',
                  '\t\t<bndbox>', *(f'\t\t\t<{key}>{value}</{key}>' for key, value in corners),
                  '\t\t</bndbox>', '\t</object>']
    lines.append('</annotation>')
    return ''.join(f'{line}\r\n' for line in lines)

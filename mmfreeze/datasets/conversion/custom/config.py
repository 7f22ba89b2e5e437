"""A config for a converted folder of one's own."""
import os
from pathlib import Path

from ..record import Reader

TEMPLATE = '''\
# Written by tools/dataset_converters/custom.py: ViTDet-B at 1024 px with adaptive freezing.
_base_ = [
{bases}]

data_root = {root!r}
classes = (
{classes})
dataset = dict(data_root=data_root, metainfo=dict(classes=classes))

train_dataloader = dict(dataset=dict(ann_file={train!r}, **dataset))
val_dataloader = dict(dataset=dict(ann_file={val!r}, **dataset))
test_dataloader = dict(dataset=dict(ann_file={test!r}, **dataset))
val_evaluator = dict(ann_file={val_file!r})
test_evaluator = dict(ann_file={test_file!r})

model = dict(roi_head=dict(bbox_head=dict(num_classes={number})))
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing'))]
optim_wrapper = dict(type='FreezeOptimWrapper')
'''
BASES = ('models/vitdet_b.py', 'datasets/aerial_1024.py', 'schedules/vitdet_65e.py',
         'default_runtime.py')


def config_text(reader: Reader, path: Path, out_dir: Path, configs: Path) -> str:
    """Returns the config that trains and tests on a converted folder.

    Validation takes ``val`` and tests take ``test``; where one is missing, the other.

    Args:
        reader: The folder's reader.
        path: The config's place, from which it names its bases.
        out_dir: The folder with the json files.
        configs: The project's ``configs/``.
    """
    names = dict(train='train', val='val' if 'val' in reader.splits else 'test',
                 test='test' if 'test' in reader.splits else 'val')
    below = Path(os.path.relpath(out_dir, reader.root))
    bases = [Path(os.path.relpath(configs / '_base_' / base, path.parent)) for base in BASES]
    return TEMPLATE.format(
        bases=''.join(f'    {base.as_posix()!r},\n' for base in bases),
        root=f'{reader.root.as_posix()}/',
        classes=''.join(f'    {name!r},\n' for name in reader.classes),
        number=len(reader.classes),
        **{name: (below / f'{split}.json').as_posix() for name, split in names.items()},
        val_file=(out_dir / f'{names["val"]}.json').as_posix(),
        test_file=(out_dir / f'{names["test"]}.json').as_posix())

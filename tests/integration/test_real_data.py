"""From a real set's own files to AP, by the commands of the README."""
import json
import tarfile
from pathlib import Path

from mmfreeze.analysis.timeline import read_timeline

ROOT = Path(__file__).resolve().parents[2]
FEW_IMAGES = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
              'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
              'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']


def keep_images(path, count):
    """Cuts an annotation file down to its first images."""
    content = json.loads(path.read_text())
    content['images'] = content['images'][:count]
    ids = {image['id'] for image in content['images']}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in ids]
    path.write_text(json.dumps(content))


def test_nwpu_from_deit_tiny(shared_data, tmp_path, call):
    source, weights = shared_data('nwpu_vhr10'), shared_data('vit_deit_tiny')
    data = tmp_path / 'data/nwpu_vhr10'
    data.mkdir(parents=True)
    for name in ('ground_truth', 'image_set', 'positive_image_set'):
        (data / name).symlink_to(source / name)
    converted = call('dataset_converters/nwpu.py', 'data/nwpu_vhr10')
    assert '3896 boxes kept, 0 dropped' in converted
    for split, count in (('train', 3), ('test', 1)):
        keep_images(data / f'annotations/{split}.json', count)
    # Frozen one after the other, so that three epochs of three iterations see two freezes.
    out = call('train.py', ROOT / 'configs/vitdet_afa_nwpu.py', '--cfg-options', *FEW_IMAGES,
               'model.backbone.init_cfg.checkpoint='
               f'{weights / "deit_tiny_patch16_224.npz"}',
               'train_cfg.max_epochs=3', 'train_cfg.val_interval=3',
               'train_dataloader.batch_size=1', 'model.train_cfg.rcnn.sampler.num=64',
               'custom_hooks.0.policy.interval=1')
    assert 'loaded 147 tensors' in out and 'resized: pos_embed' in out
    run = read_timeline(tmp_path / 'work_dirs/vitdet_afa_nwpu')
    n = [epoch['num_frozen'] for epoch in run.epochs]
    assert n[0] == 0 < n[1] < n[2]
    metrics = run.metrics(3)
    assert all(0 <= metrics[key] <= 1 for key in ('bbox_mAP', 'bbox_mAP_50', 'AR@10'))


def test_dior_at_full_size(shared_data, tmp_path, call):
    """ViT-B at 1024 px: one real training step, and an evaluation of its checkpoint."""
    source = shared_data('dior')
    data = tmp_path / 'data/dior'
    (data / 'Annotations').mkdir(parents=True)
    (data / 'ImageSets/Main').mkdir(parents=True)
    (data / 'JPEGImages').symlink_to(source / 'JPEGImages')
    images = sorted(path.stem for path in (source / 'JPEGImages').iterdir())
    with tarfile.open(source / 'dior_hbb_xml_all_23463.tar.gz') as archive:
        for name in images:
            xml = archive.extractfile(f'Annotations/{name}.xml').read()
            (data / f'Annotations/{name}.xml').write_bytes(xml)
    for split, ids in (('train', images[1:2]), ('val', images[2:3]), ('trainval', images[1:2]),
                       ('test', images[:1])):
        (data / f'ImageSets/Main/{split}.txt').write_text('\n'.join(ids) + '\n')
    call('dataset_converters/dior.py', 'data/dior')
    out = call('train.py', ROOT / 'configs/vitdet_afa_dior.py', '--cfg-options', *FEW_IMAGES,
               'model.backbone.init_cfg=None', 'train_dataloader.batch_size=1',
               'model.train_cfg.rcnn.sampler.num=64', 'train_cfg.max_epochs=1',
               'train_cfg.val_begin=2',
               'default_hooks.logger.interval=1')
    assert '12 freezable layers' in out and 'loss_bbox' in out
    call('test.py', ROOT / 'configs/vitdet_afa_dior.py',
         'work_dirs/vitdet_afa_dior/epoch_1.pth', '--cfg-options', *FEW_IMAGES)
    path = next((tmp_path / 'work_dirs/vitdet_afa_dior').glob('*/*.json'))
    metrics = json.loads(path.read_text())
    assert 0 <= metrics['coco/bbox_mAP_50'] <= 1 and 'coco/AR@10' in metrics

# NWPU VHR-10 in miniature, for a CPU: 256 px, and neck and heads as thin as the toy detector's.
# The blocks are as wide as those of vitdet_base_nwpu.py. What is set here is chosen.
_base_ = [
    '_base_/models/vitdet_toy.py', '_base_/datasets/nwpu.py', '_base_/schedules/vitdet_65e.py',
    '_base_/default_runtime.py']

model = dict(
    backbone=dict(
        img_size=256,
        embed_dim=192,
        window_size=8,
        drop_path_rate=0.1,
        init_cfg=dict(
            _delete_=True,
            type='PretrainedViT',
            checkpoint='data/weights/deit_tiny_patch16_224-a1311bcf.pth',
            url='https://dl.fbaipublicfiles.com/deit/deit_tiny_patch16_224-a1311bcf.pth')),
    neck=dict(in_channels=192),
    rpn_head=dict(anchor_generator=dict(scales=[8])),
    roi_head=dict(bbox_head=dict(num_classes=10)))

image_size = (256, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=image_size, ratio_range=(.5, 2.), keep_ratio=True),
    dict(type='RandomCrop', crop_type='absolute', crop_size=image_size, recompute_bbox=True,
         allow_negative_crop=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='RandomFlip', prob=.5),
    dict(type='PadToSize', size=image_size),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='PadToSize', size=image_size),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs',
         meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
# No workers: the cores train.
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=4e-4))
auto_scale_lr = dict(base_batch_size=2)

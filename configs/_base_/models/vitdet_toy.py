# ViT of 12 blocks, small enough to train from random weights on a CPU. Neck and heads are thin too,
# so that a good part of a training step goes into the backbone, where freezing saves.
_base_ = './vitdet_b.py'

model = dict(
    backbone=dict(
        img_size=160,
        embed_dim=96,
        num_heads=3,
        window_size=5,
        drop_path_rate=0.,
        init_cfg=None),
    neck=dict(in_channels=96, out_channels=64),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        num_convs=1,
        anchor_generator=dict(scales=[3])),  # 12, 24, 48, ... pixels
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(
            _delete_=True,
            type='Shared2FCBBoxHead',
            in_channels=64,
            fc_out_channels=256,
            roi_feat_size=7,
            num_classes=20,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0., 0., 0., 0.],
                target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=200, max_per_img=128),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=200)))

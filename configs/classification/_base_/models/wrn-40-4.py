model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='WideResNet',
        depth=40,
        widen_factor=4,
        init_cfg=dict(type='Kaiming', layer='Conv2d')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=256))

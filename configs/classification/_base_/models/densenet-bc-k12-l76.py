# DenseNet-BC of 76 layers with growth rate 12, which FreezeOut is measured on.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='SmallDenseNet',
        arch=dict(growth_rate=12, depths=[12, 12, 12], init_channels=24),
        init_cfg=dict(type='Kaiming', layer='Conv2d')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=258))

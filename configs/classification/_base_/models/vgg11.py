# The convolutions of VGG-11 with batch norm, so that it trains from random weights at once; a
# linear classifier of the pooled map takes the place of the three layers made for 224 px.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='VGG', depth=11, norm_cfg=dict(type='BN')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=512))

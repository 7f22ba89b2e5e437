_base_ = './vitdet_b.py'

model = dict(
    backbone=dict(
        embed_dim=384,
        num_heads=6,
        init_cfg=dict(
            checkpoint='data/weights/deit_small_patch16_224-cd65a155.pth',
            url='https://dl.fbaipublicfiles.com/deit/deit_small_patch16_224-cd65a155.pth')),
    neck=dict(in_channels=384))

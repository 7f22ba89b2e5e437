_base_ = './vitdet_b.py'

model = dict(
    backbone=dict(
        embed_dim=192,
        num_heads=3,
        init_cfg=dict(
            checkpoint='data/weights/deit_tiny_patch16_224-a1311bcf.pth',
            url='https://dl.fbaipublicfiles.com/deit/deit_tiny_patch16_224-a1311bcf.pth')),
    neck=dict(in_channels=192))

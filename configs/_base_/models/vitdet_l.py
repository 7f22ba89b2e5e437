_base_ = './vitdet_b.py'

model = dict(
    backbone=dict(
        embed_dim=1024,
        depth=24,
        num_heads=16,
        global_attn_indexes=(5, 11, 17, 23),
        drop_path_rate=0.4,
        init_cfg=dict(
            checkpoint='data/weights/mae_pretrain_vit_large.pth',
            url='https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_large.pth')),
    neck=dict(in_channels=1024))

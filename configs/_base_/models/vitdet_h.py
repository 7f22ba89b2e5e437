_base_ = './vitdet_b.py'

# MAE's ViT-H has patches of 14 pixels; detectron2 publishes it with patches of 16.
weights = 'mae_pretrain_vit_huge_p14to16.pth'
model = dict(
    backbone=dict(
        embed_dim=1280,
        depth=32,
        num_heads=16,
        global_attn_indexes=(7, 15, 23, 31),
        drop_path_rate=0.5,
        init_cfg=dict(
            checkpoint=f'data/weights/{weights}',
            url=f'https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained/MAE/{weights}')),
    neck=dict(in_channels=1280))

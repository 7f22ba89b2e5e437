_base_ = 'vitdet_base_nwpu.py'

# Stored features show an image in one way only: no jitter, no flips. tau is chosen.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(512, 512), keep_ratio=True),
    dict(type='PadToSize', size=(512, 512)),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LearnAndDrop', tau=.3, warmup=5),
                     store=dict(where='ram'))]

_base_ = 'vitdet_base_toy.py'

# Stored features show an image in one way only, so without the flips of the others. tau is chosen.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LearnAndDrop', tau=.5, warmup=2),
                     store=dict(where='ram'))]

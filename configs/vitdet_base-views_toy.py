_base_ = 'vitdet_base_toy.py'

# The flips of the toy set, as views that come back: what stored features can represent.
train_pipeline = [
    dict(type='LoadImageUnlessStored'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='ReplayableViews', size=(160, 160), num_views=4),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(data_preprocessor=dict(type='StoredViewsPreprocessor'))

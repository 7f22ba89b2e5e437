_base_ = 'vitdet_base_nwpu-256.py'

# The views of vitdet_base-views_nwpu.py.
train_pipeline = [
    dict(type='LoadImageUnlessStored'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='ReplayableViews', size={{_base_.image_size}}, num_views=4, views=[
        dict(), dict(flip='horizontal'), dict(scale=1.5, cell=(0, 0)),
        dict(scale=1.5, cell=(1, 1), flip='horizontal')]),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(data_preprocessor=dict(type='StoredViewsPreprocessor'))

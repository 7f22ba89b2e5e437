# With the augmentation and the batch size of FreezeOut's code.
_base_ = './cifar10.py'

train_pipeline = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=50,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(pipeline=train_pipeline))

# CIFAR-10 as one npz file, without augmentation: every epoch sees the same images, as a store of
# features needs it. The batch sizes are chosen.
image_size = (32, 32)
data_preprocessor = dict(
    mean=[125.307, 122.961, 113.8575],
    std=[51.5865, 50.847, 51.255],
    to_rgb=False)  # the file has red first

pipeline = [dict(type='PackInputs')]
dataset = dict(
    type='NpzDataset',
    ann_file='data/cifar10/cifar10_subset.npz',
    pipeline=pipeline)
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', **dataset))
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', test_mode=True, **dataset))
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy')
test_evaluator = val_evaluator

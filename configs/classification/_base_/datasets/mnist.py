# MNIST as one npz file, at 32 pixels for the five poolings of VGG.
_base_ = './cifar10.py'

data_preprocessor = dict(mean=[33.46, 33.46, 33.46], std=[78.87, 78.87, 78.87])

pipeline = [dict(type='Resize', scale=32), dict(type='PackInputs')]
dataset = dict(ann_file='data/mnist/mnist.npz', pipeline=pipeline)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

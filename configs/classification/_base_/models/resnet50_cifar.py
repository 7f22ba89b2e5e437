# A first convolution of 3x3 at full size, and no pooling.
_base_ = './resnet50.py'

model = dict(backbone=dict(type='ResNet_CIFAR'))

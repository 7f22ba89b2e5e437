# CIFAR-100 in its original files, which MMPretrain reads.
_base_ = './cifar10_crop-flip.py'

data_preprocessor = dict(mean=[129.304, 124.070, 112.434], std=[68.170, 65.392, 70.418])

dataset = dict(_delete_=True, type='CIFAR100', data_prefix='data/cifar100/', download=False)
train_dataloader = dict(
    dataset=dict(split='train', pipeline={{_base_.train_pipeline}}, **dataset))
val_dataloader = dict(
    dataset=dict(split='test', test_mode=True, pipeline={{_base_.pipeline}}, **dataset))
test_dataloader = val_dataloader

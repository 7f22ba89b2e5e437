_base_ = [
    '_base_/models/wrn-40-4.py', '_base_/datasets/cifar100_crop-flip.py',
    '_base_/schedules/sgd_100e.py', '_base_/default_runtime.py']

model = dict(head=dict(num_classes=100))

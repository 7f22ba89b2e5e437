_base_ = [
    '_base_/models/resnet50_cifar.py', '_base_/datasets/cifar10.py',
    '_base_/schedules/sgd_30e.py', '_base_/default_runtime.py']

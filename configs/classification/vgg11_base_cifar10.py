_base_ = [
    '_base_/models/vgg11.py', '_base_/datasets/cifar10.py',
    '_base_/schedules/sgd_30e.py', '_base_/default_runtime.py']

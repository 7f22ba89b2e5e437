_base_ = [
    '_base_/models/wrn-40-4.py', '_base_/datasets/cifar10_crop-flip.py',
    '_base_/schedules/sgd_100e.py', '_base_/default_runtime.py']

_base_ = [
    '_base_/models/resnet50.py', '_base_/datasets/imagenette.py',
    '_base_/schedules/sgd_30e.py', '_base_/default_runtime.py']

_base_ = [
    '_base_/models/vitdet_toy.py', '_base_/datasets/toy.py', '_base_/schedules/vitdet_26e_toy.py',
    '_base_/default_runtime.py']

model = dict(roi_head=dict(bbox_head=dict(num_classes=6)))

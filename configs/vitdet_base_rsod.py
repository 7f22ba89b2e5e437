_base_ = [
    '_base_/models/vitdet_b.py', '_base_/datasets/rsod.py', '_base_/schedules/vitdet_65e.py',
    '_base_/default_runtime.py']

model = dict(roi_head=dict(bbox_head=dict(num_classes=4)))

_base_ = [
    '_base_/models/vitdet_t.py', '_base_/datasets/nwpu.py', '_base_/schedules/vitdet_65e.py',
    '_base_/default_runtime.py']

model = dict(
    backbone=dict(img_size=512),
    roi_head=dict(bbox_head=dict(num_classes=10)))

_base_ = [
    '_base_/models/faster-rcnn_r50.py', '_base_/datasets/nwpu.py',
    '_base_/schedules/faster-rcnn_36e.py', '_base_/default_runtime.py']

model = dict(roi_head=dict(bbox_head=dict(num_classes=10)))

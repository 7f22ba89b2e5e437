_base_ = 'faster-rcnn_r50_base_nwpu.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LinearFreezing'))]

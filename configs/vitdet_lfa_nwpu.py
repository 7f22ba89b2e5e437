_base_ = 'vitdet_base_nwpu.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LinearFreezing'))]

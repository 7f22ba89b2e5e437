_base_ = 'vitdet_base_rsod.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LinearFreezing'))]

_base_ = 'vitdet_base_simd.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LinearFreezing'))]

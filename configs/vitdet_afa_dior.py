_base_ = 'vitdet_base_dior.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing'))]
optim_wrapper = dict(type='FreezeOptimWrapper')

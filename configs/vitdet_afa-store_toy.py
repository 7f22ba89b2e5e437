_base_ = 'vitdet_base-views_toy.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing'), store='auto')]
optim_wrapper = dict(type='FreezeOptimWrapper')

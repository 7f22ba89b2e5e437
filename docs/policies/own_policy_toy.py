_base_ = '../../configs/vitdet_base_toy.py'

custom_imports = dict(imports=['mmfreeze', 'own_policy'])
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='FallenGradient', share=.8))]
optim_wrapper = dict(type='FreezeOptimWrapper')

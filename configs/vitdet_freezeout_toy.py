_base_ = 'vitdet_base_toy.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(
    type='FreezeOut', warmup=_base_.param_scheduler[0].end))]
optim_wrapper = dict(type='FreezeOptimWrapper')
# The warm-up alone: FreezeOut is the annealing.
param_scheduler = [_base_.param_scheduler[0]]

_base_ = 'faster-rcnn_r50_base_nwpu.py'

custom_hooks = [dict(type='LayerFreezingHook', policy=dict(
    type='FreezeOut', scaled=True, warmup=_base_.param_scheduler[0].end))]
optim_wrapper = dict(type='FreezeOptimWrapper')
# The warm-up alone: FreezeOut is the annealing.
param_scheduler = [_base_.param_scheduler[0]]

_base_ = 'densenet-bc-k12-l76_base_cifar100.py'

custom_hooks = [dict(type='mmdet.LayerFreezingHook',
                     policy=dict(type='FreezeOut', how='cubic', scaled=True, t_0=.8))]
optim_wrapper = dict(type='mmdet.FreezeOptimWrapper')
param_scheduler = []  # FreezeOut anneals every layer by itself

_base_ = 'vitdet_base-views_nwpu.py'

# In float16 four views of 454 images take 0.7 GB.
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='AdaptiveFreezing'),
                     store=dict(when='auto', dtype='float16'))]
optim_wrapper = dict(type='FreezeOptimWrapper')

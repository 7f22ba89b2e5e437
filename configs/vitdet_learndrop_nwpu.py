_base_ = 'vitdet_base-views_nwpu.py'

# tau is chosen.
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LearnAndDrop', tau=.3, warmup=5),
                     store=dict(where='ram'))]

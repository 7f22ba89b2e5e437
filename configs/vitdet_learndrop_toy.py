_base_ = 'vitdet_base-views_toy.py'

# tau is chosen.
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LearnAndDrop', tau=.5, warmup=2),
                     store=dict(where='ram'))]

_base_ = 'vitdet_base_nwpu.py'

# Stored features show an image in one way only: no jitter, no flips. tau is chosen.
train_dataloader = dict(dataset=dict(pipeline={{_base_.fixed_pipeline}}))
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LearnAndDrop', tau=.3, warmup=5),
                     store=dict(where='ram'))]

_base_ = 'faster-rcnn_r50_base_nwpu.py'

# Stored features show an image in one way only: no jitter, no flips. tau is chosen. The levels that
# FPN reads are stored as well: 16 MB an image in float16 at 512 px.
train_dataloader = dict(dataset=dict(pipeline={{_base_.fixed_pipeline}}))
custom_hooks = [dict(type='LayerFreezingHook', policy=dict(type='LearnAndDrop', tau=.3, warmup=3),
                     store=dict(where='file', dtype='float16', max_gb=20.))]

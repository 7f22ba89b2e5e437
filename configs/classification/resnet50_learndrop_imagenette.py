_base_ = 'resnet50_base_imagenette.py'

# Room for the features behind two blocks of the first stage.
custom_hooks = [dict(type='mmdet.LayerFreezingHook', policy=dict(type='LearnAndDrop'),
                     store=dict(where='file', dtype='float16', max_gb=32.))]

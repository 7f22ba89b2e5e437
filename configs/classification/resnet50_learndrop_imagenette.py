_base_ = 'resnet50_base_imagenette.py'

custom_hooks = [dict(type='mmdet.LayerFreezingHook', policy=dict(type='LearnAndDrop'),
                     store=dict(where='ram'))]

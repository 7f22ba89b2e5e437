_base_ = 'resnet50_base_cifar10.py'

custom_hooks = [dict(type='mmdet.LayerFreezingHook', policy=dict(type='LearnAndDrop'),
                     store=dict(where='ram'))]

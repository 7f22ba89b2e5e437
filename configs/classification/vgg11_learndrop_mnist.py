_base_ = 'vgg11_base_mnist.py'

custom_hooks = [dict(type='mmdet.LayerFreezingHook', policy=dict(type='LearnAndDrop'),
                     store=dict(where='ram'))]

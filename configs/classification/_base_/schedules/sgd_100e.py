# SGD with a cosine over the run, as in FreezeOut's code; there norms and biases decay as well.
train_cfg = dict(type='mmdet.ExactEpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmdet.LayerGroupsConstructor',
    optimizer=dict(type='SGD', lr=.1, momentum=.9, nesterov=True, weight_decay=1e-4))

param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=100, convert_to_iter_based=True)]

# The lr above is meant for 50 images in all.
auto_scale_lr = dict(enable=False, base_batch_size=50)

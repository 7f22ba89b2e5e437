# SGD as MMDetection trains a Faster R-CNN, in the steps of its 3x schedule. All numbers are chosen:
# its learning rate for 8 images instead of 16, and a warm-up of 100 iterations, for the set is
# small. Every run has the groups that FreezeOut needs, in which norms and biases do not decay.
train_cfg = dict(type='ExactEpochBasedTrainLoop', max_epochs=36, val_interval=6)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerGroupsConstructor',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4))

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1)]

# The lr above is meant for 8 images in all.
auto_scale_lr = dict(enable=False, base_batch_size=8)

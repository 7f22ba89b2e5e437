# SGD with a cosine over the run, for the comparisons with Learn&Drop. Its paper's settings are not
# publicly readable: everything here is chosen.
train_cfg = dict(type='mmdet.ExactEpochBasedTrainLoop', max_epochs=30, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=.05, momentum=.9, weight_decay=5e-4))

param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=30, convert_to_iter_based=True)]

# The lr above is meant for 64 images in all.
auto_scale_lr = dict(enable=False, base_batch_size=64)

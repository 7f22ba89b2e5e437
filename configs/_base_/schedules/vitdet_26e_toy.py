# Two epochs for each of LFA's thirteen steps; from scratch, so no layer decay and a higher lr.
train_cfg = dict(type='ExactEpochBasedTrainLoop', max_epochs=26, val_interval=13)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerGroupsConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=1.0))

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=26, T_max=26, eta_min_ratio=0.01,
         convert_to_iter_based=True)]

auto_scale_lr = dict(enable=False, base_batch_size=8)

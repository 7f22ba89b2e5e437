# AdamW with layer decay, as ViTDet trains; 65 epochs as in Tang et al. 2024. The paper prints no
# learning rate, batch size, warm-up or steps: those here are chosen (ViTDet's own for COCO).
train_cfg = dict(type='ExactEpochBasedTrainLoop', max_epochs=65, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LayerGroupsConstructor',
    paramwise_cfg=dict(layer_decay=0.7),
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1, fused=True))

# Steps at 8/9 and 11/12 of the run.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=65, milestones=[58, 60], gamma=0.1)]

# The lr above is meant for 16 images in all.
auto_scale_lr = dict(enable=False, base_batch_size=16)

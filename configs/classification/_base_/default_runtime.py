_base_ = '../../_base_/default_runtime.py'

custom_imports = dict(imports=['mmfreeze', 'mmfreeze.classification'])
default_scope = 'mmpretrain'

default_hooks = dict(
    checkpoint=dict(type='mmdet.CrashSafeCheckpointHook', save_best='accuracy/top1'),
    visualization=dict(type='VisualizationHook'))

# The baseline freezes nothing; with the hook it leaves the same record as the others.
custom_hooks = [dict(type='mmdet.LayerFreezingHook', policy=dict(type='NoFreezing'))]

visualizer = dict(type='UniversalVisualizer')

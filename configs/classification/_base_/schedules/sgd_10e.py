# The same in fewer epochs; that their number is 10 is chosen, too.
_base_ = './sgd_30e.py'

train_cfg = dict(max_epochs=10)
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=10, convert_to_iter_based=True)]

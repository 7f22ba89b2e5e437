# DIOR at 1024 px: trained on trainval, measured on test.
_base_ = 'aerial_1024.py'

data_root = 'data/dior/'
dataset = dict(type='DIORDataset', data_root=data_root)
train_dataloader = dict(dataset=dict(ann_file='annotations/trainval.json', **dataset))
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/test.json')
test_evaluator = val_evaluator

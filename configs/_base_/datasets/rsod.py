# RSOD at 1024 px, about the width of its images: trained and measured on the seeded split.
_base_ = 'aerial_1024.py'

data_root = 'data/rsod/'
dataset = dict(type='RSODDataset', data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/test.json')
test_evaluator = val_evaluator

# SIMD at 1024 px, the width of its images: trained on training + validation, measured on testing.
_base_ = 'aerial_1024.py'

data_root = 'data/simd/'
dataset = dict(type='SIMDDataset', data_root=data_root)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/test.json')
test_evaluator = val_evaluator

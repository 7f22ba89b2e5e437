# MMDetection's Faster R-CNN, ResNet-50 and FPN, with weights of torchvision. It keeps the stem and
# the first stage frozen itself, which is a freezing policy of its own: here everything trains, so
# that freezing starts at the stem and the un-frozen run pays for what a policy saves. BatchNorm
# stays in eval mode, as there: a batch is too small for statistics of its own.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(backbone=dict(frozen_stages=-1))

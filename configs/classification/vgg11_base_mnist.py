_base_ = [
    '_base_/models/vgg11.py', '_base_/datasets/mnist.py',
    '_base_/schedules/sgd_10e.py', '_base_/default_runtime.py']

_base_ = [
    '_base_/models/vitdet_b.py', '_base_/datasets/dior.py', '_base_/schedules/vitdet_65e.py',
    '_base_/default_runtime.py']

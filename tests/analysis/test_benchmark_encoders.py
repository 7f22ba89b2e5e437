"""In which order the encoders run while they are measured."""
import torch

from mmfreeze.analysis.benchmark.encoders import _Run, measure_encoders


def test_both_are_warm_before_memory_is_measured(monkeypatch):
    runs = []
    for name in ('time', 'memory'):
        def measure(run, name=name, measured=getattr(_Run, name)):
            runs.append((name, type(run.model).__name__))
            return measured(run)
        monkeypatch.setattr(_Run, name, measure)
    size, = measure_encoders([32], 24, 2, 1, 1, torch.device('cpu'), False)
    ours, theirs = 'ViTDetBackbone', 'ImageEncoderViT'
    assert runs[:4] == [('time', ours), ('time', theirs), ('memory', ours), ('memory', theirs)]
    assert sorted(runs[4:]) == [('time', theirs), ('time', ours)]
    assert size['ours']['memory'] > 0

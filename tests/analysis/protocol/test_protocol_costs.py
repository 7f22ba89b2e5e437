"""What a model costs, counted in a process of its own."""
import json

from mmengine.config import Config

from mmfreeze.analysis.protocol import training_costs

PARTS = '''
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.model import BaseModel
from torch import nn


@DATASETS.register_module()
class OwnImages(torch.utils.data.Dataset):
    metainfo = {}

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return dict(inputs=torch.ones(3), data_samples=index)


@MODELS.register_module()
class OwnModel(BaseModel):
    def __init__(self, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
        self.head = nn.Linear(5, 2)

    def forward(self, inputs, data_samples, mode):
        return dict(loss=self.head(self.layers(torch.stack(list(inputs)))).sum())
'''


def test_a_model_and_data_of_ones_own(tmp_path, monkeypatch):
    """Known to the other process only if it imports what the config names."""
    (tmp_path / 'own_parts.py').write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    cfg = Config(dict(
        custom_imports=dict(imports=['own_parts']), model=dict(type='OwnModel'),
        train_dataloader=dict(dataset=dict(type='OwnImages'),
                              sampler=dict(type='DefaultSampler', shuffle=False)),
        custom_hooks=[dict(type='LayerFreezingHook', policy=dict(type='NoFreezing'),
                           layers=['layers.*'])]))
    costs = training_costs(cfg, tmp_path)
    first, second, head = 2 * 3 * 4, 2 * 4 * 5, 2 * 5 * 2
    assert costs.images == 5
    assert costs.layers.forward == [first, second] and costs.layers.rest_forward == head
    assert costs.layers.backward == [first + second, second + head]

    # The next time they are read.
    path = tmp_path / 'costs.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), images=7)))
    assert training_costs(cfg, tmp_path).images == 7

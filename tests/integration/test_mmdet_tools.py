"""MMDetection's own tools on what a run with freezing leaves: logs, config and checkpoint."""
import importlib.util
import json
import sys
from pathlib import Path

import mmdet
import numpy as np
import pytest
from mmdet.apis import DetInferencer
from mmengine.config import Config
from mmengine.runner import Runner

from mmfreeze.datasets import ToyDataset
from mmfreeze.datasets.toy import generate_toy

CONFIG = Path(__file__).resolve().parents[2] / 'configs/vitdet_lfa_toy.py'
# Where the wheel keeps what is tools/ in the repository.
ANALYZE_LOGS = Path(mmdet.__file__).parent / '.mim/tools/analysis_tools/analyze_logs.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """With a toy set, and the work dir of a run of two epochs of two iterations in ``run``."""
    root = tmp_path_factory.mktemp('mmdet_tools')
    generate_toy(root / 'toy', 4, 2, 160, 0)
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({
        'model.backbone.embed_dim': 24, 'model.backbone.num_heads': 2,
        'model.neck.in_channels': 24, 'model.roi_head.bbox_head.fc_out_channels': 32,
        'model.test_cfg.rcnn.score_thr': .001,
        'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 1, 'train_dataloader.batch_size': 2,
        'default_hooks.logger.interval': 1, 'log_level': 'WARNING',
        'work_dir': str(root / 'run'), 'experiment_name': 'mmdet_tools'})
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = f'{root}/toy/'
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'].ann_file = f'{root}/toy/annotations/test.json'
    Runner.from_cfg(cfg).train()
    return root


@pytest.fixture
def analyze_logs(monkeypatch):
    """Returns a function that runs mmdet's ``analyze_logs.py`` in this process."""
    if not ANALYZE_LOGS.is_file():
        pytest.skip(f'{ANALYZE_LOGS} is absent')
    spec = importlib.util.spec_from_file_location('analyze_logs', ANALYZE_LOGS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['analyze_logs.py', *map(str, args)])
        module.main()
    return run


def logs(folder):
    """The log of the training alone, and the one with all scalars, those of freezing too."""
    vis_data, = (folder / 'run').glob('*/vis_data')
    return [next(vis_data.glob('2*.json')), vis_data / 'scalars.json']


def test_analyze_logs_tells_the_time(folder, analyze_logs, capsys):
    for log in logs(folder):
        analyze_logs('cal_train_time', log, '--include-outliers')
        out = capsys.readouterr().out
        said = float(out.partition('average iter time: ')[2].split()[0])
        times = [json.loads(line).get('time') for line in log.read_text().splitlines()]
        assert min(filter(None, times)) - 1e-3 < said < max(filter(None, times)) + 1e-3


def test_analyze_logs_draws_losses_and_what_is_frozen(folder, analyze_logs, tmp_path, capsys):
    _, scalars = logs(folder)
    # Its default style is one of seaborn's.
    for keys in (['loss'], ['bbox_mAP_50'], ['num_frozen']):
        picture = tmp_path / f'{keys[0]}.png'
        analyze_logs('plot_curve', scalars, '--keys', *keys, '--out', picture, '--style', 'default',
                     '--backend', 'agg')
        assert picture.read_bytes().startswith(b'\x89PNG') and keys[0] in capsys.readouterr().out


def test_inferencer_takes_config_and_checkpoint(folder):
    config, = (folder / 'run').glob('*.py')
    inferencer = DetInferencer(str(config), str(folder / 'run/epoch_2.pth'), device='cpu',
                               show_progress=False)
    assert inferencer.model.dataset_meta['classes'] == ToyDataset.METAINFO['classes']
    image = np.zeros((160, 160, 3), np.uint8)
    found, = inferencer(image, return_vis=False)['predictions']
    assert 0 < len(found['bboxes']) == len(found['scores']) == len(found['labels'])

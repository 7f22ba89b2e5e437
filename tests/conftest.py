"""Fixtures that every test may use."""
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import mmfreeze  # noqa: F401, first, for the imports below may need its stand-in for mmcv's ops
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def shared_data():
    """Returns a function that finds a real data set by name; where it is absent, it skips."""
    root = Path(os.environ.get('MMFREEZE_TEST_DATA', ROOT.parent / 'shared' / 'data'))

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f'{path} is absent (set MMFREEZE_TEST_DATA)')
        return path

    return find


class Result(NamedTuple):
    """What a tool left behind."""
    code: int
    out: str
    err: str


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Returns a function that runs ``tools/<name>`` with arguments, in the current folder.

    It does so inside the test's process, for starting one anew takes seconds.
    """
    def run(name, *args):
        spec = importlib.util.spec_from_file_location('tool_under_test', ROOT / 'tools' / name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        capsys.readouterr()
        # mmengine finds these again by a name that ends in the second of the start: a second tool
        # in the same second would write to the first one's streams and folders.
        for kind in (MMLogger, MessageHub, DetLocalVisualizer):
            kind._instance_dict.clear()
        code = 0
        try:
            code = module.main() or 0
        except SystemExit as stop:
            code = stop.code or 0
        return Result(code, *capsys.readouterr())
    return run


@pytest.fixture
def make_run(tmp_path):
    """Returns a function that writes what a run of three layers leaves, and returns its work dir.

    It is given how many layers were frozen in each epoch and the seconds of each; the config (as
    settings of the run; none is written without them); and the memory logged in each epoch. Epochs
    have ten iterations, and all of them are validated.
    """
    def make(name, policy='NoFreezing', *, frozen, seconds, config=None, memory=(), decisions=(),
             ap50=.75):
        work_dir = tmp_path / name
        log = work_dir / '20260101_000000/vis_data'
        log.mkdir(parents=True)
        metrics = {'coco/bbox_mAP': .4, 'coco/bbox_mAP_50': ap50, 'coco/AR@10': .5}
        (work_dir / 'freezing_timeline.json').write_text(json.dumps(dict(
            policy=dict(type=policy), layers=[['a'], ['b'], ['c']], decisions=list(decisions),
            epochs=[dict(epoch=i + 1, num_frozen=n, train_seconds=s)
                    for i, (n, s) in enumerate(zip(frozen, seconds))],
            validations=[dict(iteration=10 * epoch, epoch=epoch, metrics=metrics)
                         for epoch in range(1, len(frozen) + 1)])))
        if config is not None:
            hook = dict(type='LayerFreezingHook', policy=dict(type=policy))
            Config(dict(dict(custom_hooks=[hook], val_cfg=dict(), work_dir=str(work_dir)),
                        **config)).dump(log / 'config.py')
        (log / 'scalars.json').write_text(''.join(
            json.dumps(dict(epoch=i + 1, memory=peak)) + '\n' for i, peak in enumerate(memory)))
        return work_dir
    return make


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def pytest_collection_modifyitems(items):
    # Two processes share the files: the longest begin first, or one would wait for the other.
    items.sort(key=lambda item: ('test_real_data' not in item.path.stem,
                                 'integration' not in item.path.parts))
    if torch.cuda.is_available():
        return
    for item in items:
        if 'cuda' in item.keywords:
            item.add_marker(pytest.mark.skip(reason='no CUDA device'))

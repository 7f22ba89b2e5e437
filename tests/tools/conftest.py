"""Runs the command-line tools inside the test process: starting one anew takes seconds."""
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from mmdet.visualization import DetLocalVisualizer
from mmengine.logging import MessageHub, MMLogger

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    """What a tool left behind."""
    code: int
    out: str
    err: str


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Returns a function that runs ``tools/<name>`` with arguments, in the current folder."""
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


@pytest.fixture(scope='session')
def tiny_toy(tmp_path_factory):
    """The root of a folder with a toy set of a few images in data/toy."""
    from mmfreeze.datasets.toy import generate_toy
    root = tmp_path_factory.mktemp('tiny')
    generate_toy(root / 'data/toy', 8, 4, 160, 0)
    return root


@pytest.fixture
def in_tiny_toy(tiny_toy, tmp_path, monkeypatch):
    """Makes the current folder one whose data/toy is the tiny toy set, and returns it."""
    (tmp_path / 'data').symlink_to(tiny_toy / 'data')
    monkeypatch.chdir(tmp_path)
    return tmp_path

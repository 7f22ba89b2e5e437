"""Runs tools as a user does: from a folder of their own, in processes of their own."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def call(tmp_path):
    """Returns a function that runs a tool in ``tmp_path`` and gives its output."""
    def run(tool, *args):
        done = subprocess.run(
            [sys.executable, ROOT / 'tools' / tool, *map(str, args)], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, PYTHONPATH=str(ROOT)))
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout
    return run


"""What the Makefile promises of the set-up, without setting anything up."""
import importlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def make(tmp_path):
    """Returns a function that lists what make would run in a fresh folder."""
    for name in ('Makefile', 'setup.py'):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / 'requirements', tmp_path / 'requirements')

    def run(*args):
        # As from a shell, also where make runs these tests.
        env = {name: value for name, value in os.environ.items() if not name.startswith('MAKE')}
        done = subprocess.run(['make', '-n', *args], cwd=tmp_path, text=True, env=env,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.root = tmp_path
    return run


def test_opencv_needs_no_libgl():
    assert importlib.import_module('cv2.version').headless


@pytest.mark.parametrize('target, ends_with', [
    ('train', 'tools/train.py configs/vitdet_afa_toy.py'),
    ('toy', 'tools/dataset_converters/make_toy.py --out data/toy'),
    ('test', '-m pytest -n 2 --dist loadfile --no-loadscope-reorder')])
def test_each_target_sets_up_by_itself_and_says_what_it_costs(make, target, ends_with):
    text = make(target)
    assert text.index('3.0 GB to download') < text.index('pip install')
    assert text.rstrip().endswith(ends_with)


def test_a_second_make_sets_nothing_up(make):
    (make.root / '.venv').mkdir()
    (make.root / '.venv/.ready').touch()
    assert 'pip install' not in make('train')


def test_another_index_is_for_torch_only(make):
    lines = [line for line in make('test', 'TORCH_INDEX=https://host/cpu').splitlines()
             if '--index-url' in line]
    assert len(lines) == 1 and 'https://host/cpu -r requirements/torch.txt' in lines[0]

"""Fixtures that every test may use."""
import os
from pathlib import Path

import pytest
import torch

import mmfreeze  # noqa: F401, before any test imports mmcv.ops, which may need the stand-in

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def shared_data():
    """Returns a function that finds a real data set by name, and skips the test where it is absent."""
    root = Path(os.environ.get('MMFREEZE_TEST_DATA', ROOT.parent / 'shared' / 'data'))

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f'{path} is absent (set MMFREEZE_TEST_DATA)')
        return path

    return find


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if 'cuda' in item.keywords:
            item.add_marker(pytest.mark.skip(reason='no CUDA device'))

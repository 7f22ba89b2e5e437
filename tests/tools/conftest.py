"""A small toy set for the tools."""
import pytest

from mmfreeze.datasets.toy import generate_toy


@pytest.fixture(scope='session')
def tiny_toy(tmp_path_factory):
    """The root of a folder with a toy set of a few images in data/toy."""
    root = tmp_path_factory.mktemp('tiny')
    generate_toy(root / 'data/toy', 8, 4, 160, 0)
    return root


@pytest.fixture
def in_tiny_toy(tiny_toy, tmp_path, monkeypatch):
    """Makes the current folder one whose data/toy is the tiny toy set, and returns it."""
    (tmp_path / 'data').symlink_to(tiny_toy / 'data')
    monkeypatch.chdir(tmp_path)
    return tmp_path

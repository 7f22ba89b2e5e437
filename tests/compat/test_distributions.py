"""One line for a missing or doubled OpenMMLab distribution."""
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mmfreeze.compat.distributions import check_distributions

ROOT = Path(__file__).resolve().parents[2]
FORKS = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection')
UPSTREAM = ('mmengine', 'mmcv', 'mmdet')


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Returns a function that leaves the named distributions and modules installed, no others."""

    def set_up(distributions, modules):
        for name in distributions:
            metadata = tmp_path / f'{name.replace("-", "_")}-1.0.dist-info' / 'METADATA'
            metadata.parent.mkdir()
            metadata.write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
        for name in modules:
            (tmp_path / f'{name}.py').touch()
        for name in UPSTREAM:
            monkeypatch.delitem(sys.modules, name, raising=False)
        stdlib = [sysconfig.get_path('stdlib'), sysconfig.get_path('platstdlib')]
        monkeypatch.setattr(sys, 'path', [str(tmp_path), *stdlib])

    return set_up


@pytest.mark.parametrize('distributions', [FORKS, UPSTREAM, ()], ids=['forks', 'upstream', 'paths'])
def test_one_of_each_is_fine(environment, distributions):
    environment(distributions, UPSTREAM)
    check_distributions()


@pytest.mark.parametrize('twin, of, names', [
    ('mmdet', FORKS, 'mmdet by onedl-mmdetection and mmdet'),
    ('mmengine', FORKS, 'mmengine by onedl-mmengine and mmengine'),
    ('mmcv-lite', FORKS, 'mmcv by onedl-mmcv and mmcv-lite'),
    ('mmcv-lite', UPSTREAM, 'mmcv by mmcv and mmcv-lite'),
])
def test_doubled(environment, twin, of, names):
    environment([*of, twin], UPSTREAM)
    with pytest.raises(RuntimeError) as error:
        check_distributions()
    line = str(error.value)
    assert '\n' not in line
    assert names in line
    removed, installed = line.split('pip uninstall -y ')[1].split(' && ')
    assert twin in removed.split()
    assert installed == "pip install -e '.[mm]' in mmfreeze's folder"
    # What stays is what the extra finds satisfied; nothing may stay that it would overwrite.
    stays = {*of, twin} - set(removed.split())
    assert stays <= set(FORKS)
    assert not any(stays & {pair.strip() for pair in names.split(' by ')[1].split(' and ')})


def test_missing(environment):
    environment(['onedl-mmengine'], ['mmengine'])
    with pytest.raises(ImportError) as error:
        check_distributions()
    assert str(error.value) == ('mmfreeze needs mmcv, mmdet, not installed here. '
                                "Run: pip install -e '.[mm]' in mmfreeze's folder")


def test_missing_beside_upstream_does_not_double_it(environment):
    environment(['mmengine', 'mmcv'], ['mmengine', 'mmcv'])
    with pytest.raises(ImportError, match='needs mmdet, .*pip uninstall -y mmengine mmcv && pip'):
        check_distributions()


def test_metadata_without_files(environment):
    """Uninstalling one of two twins takes the files of the other, but leaves its metadata."""
    environment(FORKS, ['mmengine', 'mmcv'])
    with pytest.raises(ImportError, match='needs mmdet, .*pip uninstall -y onedl-mmdetection && '):
        check_distributions()


def test_import_of_mmfreeze_without_any_of_them():
    """The line comes before any import that could fail first (``-S``: no site-packages)."""
    code = f'import sys; sys.path.insert(0, {str(ROOT)!r}); import mmfreeze'
    run = subprocess.run([sys.executable, '-I', '-S', '-c', code], capture_output=True, text=True)
    assert run.returncode != 0
    assert run.stderr.splitlines()[-1].startswith('ImportError: mmfreeze needs mmengine, mmcv, ')


@pytest.mark.parametrize('tool', sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / 'tools').rglob('*.py')))
def test_tools_say_it_in_one_line(tool):
    """Without site-packages nothing of the stack is there."""
    done = subprocess.run([sys.executable, '-S', ROOT / tool, '--help'], capture_output=True,
                          text=True, env={'PYTHONPATH': str(ROOT)})
    assert done.returncode == 1 and done.stderr.count('\n') == 1, done.stderr
    assert done.stderr.startswith('error: mmfreeze needs mmengine, mmcv, mmdet, not installed')

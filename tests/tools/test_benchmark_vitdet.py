"""The command line of the benchmark against segment-anything."""
import builtins
import json
from pathlib import Path

import pytest

TOOL = 'analysis_tools/benchmark_vitdet.py'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_table_and_json(run_tool):
    result = run_tool(TOOL, '--sizes', 32, 48, '--repeats', 2)
    assert result.code == 0, result.err
    assert '| 32 | chunked / bias |' in result.out and '| 48 | chunked / bias |' in result.out
    written = json.loads(Path('work_dirs/benchmark/vitdet.json').read_text())
    assert [row['size'] for row in written['sizes']] == [32, 48]
    for row in written['sizes']:
        assert row['ours']['memory'] > 0 and row['smaller'] == pytest.approx(
            row['theirs']['memory'] / row['ours']['memory'])
        assert 0 < row['ours']['forward'] < row['ours']['iteration']['upper']


def test_bfloat16(run_tool):
    result = run_tool(TOOL, '--sizes', 32, '--repeats', 1, '--bfloat16', '--out', 'half.json')
    assert result.code == 0, result.err
    assert json.loads(Path('half.json').read_text())['dtype'] == 'bfloat16'


@pytest.mark.parametrize('args, message', [
    (['--sizes', 512, 100], '--sizes 100 is not a multiple of 16'),
    (['--sizes', 0], '--sizes 0 is not a multiple of 16'),
    (['--repeats', 0], '--repeats must be at least 1, but is 0'),
    (['--batch', -1], '--batch must be at least 1, but is -1'),
])
def test_one_line_errors(run_tool, args, message):
    result = run_tool(TOOL, *args)
    assert result.code == 1 and message in result.err and result.err.count('\n') == 1


def test_segment_anything_is_absent(run_tool, monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith('segment_anything'):
            raise ModuleNotFoundError(f'No module named {name!r}')
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    result = run_tool(TOOL, '--sizes', 32)
    assert result.code == 1 and result.err.count('\n') == 1
    assert 'pip install segment-anything' in result.err

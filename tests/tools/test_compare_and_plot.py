"""compare_runs and plot_freezing, as a user calls them."""
import json

import pytest


@pytest.fixture
def work_dirs(make_run):
    return [make_run('base', frozen=[0, 0], seconds=[2., 2.]),
            make_run('lfa', 'LinearFreezing', frozen=[0, 1], seconds=[2., 1.],
                     decisions=[dict(iteration=10, epoch=1, num_frozen=1)])]


def compare(run_tool, *args):
    return run_tool('analysis_tools/compare_runs.py', *args)


def plot(run_tool, *args):
    return run_tool('analysis_tools/plot_freezing.py', *args)


def error(result):
    assert result.code == 1 and result.out == '' and result.err.count('\n') == 1
    return result.err


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_compare(work_dirs, run_tool, tmp_path):
    before = files(tmp_path)
    printed = compare(run_tool, *work_dirs)
    assert printed.code == 0 and files(tmp_path) == before
    result = compare(run_tool, *work_dirs, '--out', tmp_path / 'new/out')
    out = tmp_path / 'new/out'
    assert result.out.startswith(printed.out.rstrip()) and 'written: comparison.md' in result.out
    assert (out / 'comparison.md').read_text() == printed.out
    numbers = json.loads((out / 'comparison.json').read_text())['runs'][1]['numbers']
    assert numbers['speed_up'] == 4 / 3 and numbers['frozen'] == 1
    assert (out / 'comparison.png').read_bytes().startswith(b'\x89PNG')


def test_plot(work_dirs, run_tool, tmp_path):
    result = plot(run_tool, work_dirs[1], '--out', tmp_path / 'new/x.svg')
    assert result.code == 0 and (tmp_path / 'new/x.svg').read_text().startswith('<?xml')


def test_names_are_no_formulas(make_run, run_tool, tmp_path):
    work_dir = make_run('$NAME_$SEED', frozen=[0, 1], seconds=[2., 2.])
    for call in (compare, plot):
        result = call(run_tool, work_dir, '--out', tmp_path / f'{call.__name__}.png')
        assert result.code == 0, result.err


def test_refusals(work_dirs, run_tool, tmp_path):
    base = work_dirs[0]
    (base / 'comparison.json').write_text('{}')
    (base / 'mine.png').write_text('')
    before = files(tmp_path)
    for tool, args, message in (
            (plot, [base, '--out', base / 'mine.png'], 'is not overwritten'),
            (plot, [base, '--out', tmp_path / 'x.json'], 'the name of a picture ends in'),
            (plot, [base, '--out', tmp_path / 'x'], 'the name of a picture ends in'),
            (plot, [base, tmp_path / 'nowhere', '--out', tmp_path / 'x.png'], 'there is no'),
            (compare, [base, base], 'given twice'),
            (compare, [base, base / 'freezing_timeline.json'], 'is a file: give the work dir')):
        assert message in error(tool(run_tool, *args))
    for out, message in ((base, 'is not overwritten'), (base / 'mine.png', 'is a file')):
        result = compare(run_tool, base, '--out', out)
        assert result.code == 1 and message in result.err and result.err.count('\n') == 1
    assert files(tmp_path) == before

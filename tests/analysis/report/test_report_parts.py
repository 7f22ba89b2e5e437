"""Settings that differ, environments of runs, and tables from markdown."""
from mmengine.config import Config

from mmfreeze.analysis.report.config_diff import config_differences
from mmfreeze.analysis.report.environment import merge_environments, read_environment
from mmfreeze.analysis.report.page import Column, markdown_tables

LOG = f'''2026/01/02 03:04:05 - mmengine - INFO - 
{'-' * 60}
System environment:
    Python: 3.11.2 (main) [GCC 12.2.0]
    GPU 0,1: NVIDIA: H200
    PyTorch: {{version}}
    PyTorch compiling details: PyTorch built with:
  - GCC 11.2
  - Build settings: a=b

    MMEngine: 0.10.12

Runtime environment:
    seed: 0
{'-' * 60}

2026/01/02 03:04:06 - mmengine - INFO - Config:
    this: is none of it
'''  # noqa: W291, the log has this blank


def test_settings_that_differ():
    base = Config(dict(
        work_dir='a', train_pipeline=[dict(type='A')], custom_hooks=[dict(policy=dict(type='No'))],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1), clip_grad=None),
        param_scheduler=[dict(type='X', end=3), dict(type='Y')], test_cfg=dict()))
    other = Config(dict(
        work_dir='b', train_pipeline=[dict(type='B')],
        custom_hooks=[dict(policy=dict(type='AFA', alpha=.5), store='auto')],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.2), clip_grad=dict(max_norm=1.)),
        param_scheduler=[dict(type='X', end=4)], test_cfg=None))
    assert [tuple(row) for row in config_differences(base, other)] == [
        ('custom_hooks.0.policy.alpha', '(not set)', '0.5'),
        ('custom_hooks.0.policy.type', "'No'", "'AFA'"),
        ('custom_hooks.0.store', '(not set)', "'auto'"),
        ('optim_wrapper.clip_grad', 'None', '(not set)'),
        ('optim_wrapper.clip_grad.max_norm', '(not set)', '1.0'),
        ('optim_wrapper.optimizer.lr', '0.1', '0.2'),
        ('param_scheduler.0.end', '3', '4'),
        ('param_scheduler.1.type', "'Y'", '(not set)'),
        ('test_cfg', '{}', 'None')]


def test_an_empty_list_is_not_worth_a_line():
    hooks = Config(dict(custom_hooks=[dict(type='H')]))
    assert config_differences(Config(dict(custom_hooks=[])), hooks) == [
        ('custom_hooks.0.type', '(not set)', "'H'")]


def write_start(work_dir, name, text):
    (work_dir / name / 'vis_data').mkdir(parents=True)
    (work_dir / name / 'vis_data/scalars.json').write_text('')
    (work_dir / name / f'{name}.log').write_text(text)


def test_environment_is_that_of_the_newest_start(tmp_path):
    assert read_environment(tmp_path) == {}
    write_start(tmp_path, '20260102_000000', LOG.format(version='2.11'))
    write_start(tmp_path, '20260101_000000', LOG.format(version='2.10'))
    assert read_environment(tmp_path) == {
        'Python': '3.11.2 (main) [GCC 12.2.0]', 'GPU 0,1': 'NVIDIA: H200', 'PyTorch': '2.11',
        'MMEngine': '0.10.12', 'seed': '0'}
    write_start(tmp_path, '20260103_000000', 'only warnings\n')
    assert read_environment(tmp_path) == {}


def test_environments_say_once_what_they_share():
    merged = merge_environments({'a': {'Python': '3', 'seed': '0'}, 'b': {'Python': '3'},
                                 'c': {'Python': '3', 'seed': '0'}})
    assert merged == [('Python', [('3', ['a', 'b', 'c'])]),
                      ('seed', [('0', ['a', 'c']), ('not logged', ['b'])])]


def test_tables_from_markdown():
    first, second = markdown_tables('| a | b (s) |\n|---|--:|\n| x\\|y | 1 |\n\nMean:\n\n'
                                     '| c |\n|--:|\n| 2 |\n| 3 |\n\n- a note')
    assert first.columns == [Column('a'), Column('b (s)', True)]
    assert first.rows == [['x|y', '1']]
    assert second.caption == 'Mean:' and second.rows == [['2'], ['3']]

"""The command line of the speed-up protocol, with real trainings of a few iterations."""
import json
from pathlib import Path

import pytest

from mmfreeze.analysis.protocol import Trainer
from mmfreeze.analysis.protocol.costs import TrainingCosts, count
from mmfreeze.freezing.cost import LayerCosts

ROOT = Path(__file__).resolve().parents[2]
TOOL = 'analysis_tools/speedup_protocol.py'
TOY = ROOT / 'configs/vitdet_base_toy.py'
AFA = ROOT / 'configs/vitdet_afa_toy.py'
SMALL = ['--epochs', 1, '--seeds', 1, '--cfg-options', 'model.backbone.depth=3',
         'model.backbone.global_attn_indexes=(2,)', 'model.backbone.embed_dim=24',
         'model.neck.in_channels=24', 'train_dataloader.batch_size=4']
OUT = Path('work_dirs/protocol_vitdet_base_toy')


def test_from_the_command_to_the_table_and_again(run_tool, in_tiny_toy, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    first = run_tool(TOOL, TOY, '--policies', 'base', *SMALL)
    assert first.code == 0, first.err
    assert '0 done, 0 begun, 2 to train' in first.out
    text = (OUT / 'protocol.md').read_text()
    assert text in first.out and '1 seed: too few' in text
    assert 'model.backbone.depth=3' in text.splitlines()[0]
    lines = {line.split(' | ')[0][2:]: line.split(' | ') for line in text.splitlines()}
    assert lines['base'][1:4] == ['NoFreezing', '0', '1'] and lines['base'][12] == '1.00'
    assert lines['frozen'][1:4] == ['StaticFreezing', '0', '1']
    written = json.loads((OUT / 'protocol.json').read_text())
    base, frozen = written['parts']
    assert base['frozen'] == [0] and frozen['frozen'] == [3]
    assert frozen['flops_share'] < 1 and written['costs']['images'] == 8
    assert base['peak_memory'] > 100e6 and base['attempts'] == 1
    assert {'AP', 'AP50', 'AR@10'} == set(base['metrics'])
    assert (OUT / 'protocol.png').is_file()
    # Nothing but the latest checkpoint stays of a part.
    assert [path.name for path in (OUT / 'base/seed_0').glob('*.pth')] == ['epoch_1.pth']

    before = {path: path.stat().st_mtime_ns for path in OUT.glob('*/seed_0*')}
    again = run_tool(TOOL, TOY, '--policies', 'base', *SMALL)
    assert again.code == 0, again.err
    assert '2 done, 0 begun, 0 to train' in again.out and again.out.count('done before') == 2
    assert {path: path.stat().st_mtime_ns for path in OUT.glob('*/seed_0*')} == before
    assert (OUT / 'protocol.md').read_text() == text

    changed = run_tool(TOOL, TOY, '--policies', 'base', *SMALL, 'optim_wrapper.clip_grad=None')
    assert changed.code == 1 and changed.err.count('\n') == 1
    assert f'{OUT}/base/seed_0 was trained with another config' in changed.err


@pytest.fixture
def counted(monkeypatch):
    """Spares the tests that are not about it the counting, which takes a process of its own."""
    monkeypatch.setattr('mmfreeze.analysis.protocol.training_costs', lambda *_: TrainingCosts(
        LayerCosts([1], [1], 1, 1), 8))


def test_a_failed_training(run_tool, in_tiny_toy, counted, monkeypatch):
    program = in_tiny_toy / 'fails.py'
    program.write_text("import sys\nprint('what went wrong')\nsys.exit(1)\n")
    asked = []
    monkeypatch.setattr('mmfreeze.analysis.protocol.Trainer',
                        lambda *args: (asked.append(args), Trainer(program, *args[1:]))[1])
    result = run_tool(TOOL, TOY, '--policies', 'lfa', '--seeds', 1)
    assert asked == [(ROOT / 'tools/train.py', OUT, 1)]
    assert result.code == 1 and result.err == (
        'error: failed: base (seed 0), lfa (seed 0), frozen (seed 0); the same command tries '
        'again\n')
    lines = result.out.splitlines()
    at = lines.index('what went wrong')
    assert lines[at - 1].startswith(
        f'[1/3] {OUT}/base/seed_0 ended with status 1; all that it printed is in')
    assert lines.count('what went wrong') == 3 and not (OUT / 'protocol.md').exists()


@pytest.mark.parametrize('args, message', [
    (['absent.py'], 'there is no config absent.py'),
    ([TOY, '--jittered', 'absent.py', '--policies', 'lfa'], 'there is no config absent.py'),
    ([TOY, '--policies', 'lfo'], '--policies lfo: known are base, lfa, afa, geometric, afa+store'),
    ([TOY, '--policies', 'lfa', '--seeds', 0], '--seeds must be at least 1, but is 0'),
    ([TOY, '--policies', 'lfa', '--jobs', 0], '--jobs must be at least 1, but is 0'),
    ([TOY, '--policies', 'lfa', '--epochs', 0], '--epochs must be at least 1, but is 0'),
    ([AFA, '--policies', 'lfa'], 'freezes by AdaptiveFreezing: give the un-frozen one'),
    ([TOY], 'afa+store and learndrop: features are stored, but RandomFlip in the training pip'),
    ([TOY, '--policies', 'learndrop'], 'learndrop: features are stored, but RandomFlip'),
    ([TOY, '--policies', 'lfa', '--cfg-options', 'val_dataloader=None'],
     'val_dataloader is missing'),
])
def test_wrong_input_is_one_line(run_tool, in_tiny_toy, args, message):
    result = run_tool(TOOL, *args)
    assert result.code == 1 and message in result.err and result.err.count('\n') == 1
    assert not Path('work_dirs').exists()


def test_absent_data_is_one_line(run_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmfreeze.analysis.protocol.training_costs', lambda cfg, _: count(cfg))
    result = run_tool(TOOL, TOY, '--policies', 'lfa')
    assert result.code == 1 and result.err.startswith('error: ') and 'data/toy' in result.err
    assert result.err.count('\n') == 1


def test_ctrl_c(run_tool, in_tiny_toy, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr('mmfreeze.analysis.protocol.training_costs', interrupted)
    result = run_tool(TOOL, TOY, '--policies', 'lfa')
    assert result.code == 130 and result.err == 'interrupted; the same command goes on\n'


def test_help_shows_an_example(run_tool):
    result = run_tool(TOOL, '--help')
    assert result.code == 0 and f'python tools/{TOOL}' in result.out

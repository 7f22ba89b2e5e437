"""What a protocol trains, and what it does not train again."""
import fcntl
import json
import os
import signal
import threading
import time
from multiprocessing import get_context
from resource import RUSAGE_SELF, getrusage

import pytest
from fake_training import SECONDS, fake_protocol, small_config

from mmfreeze.analysis.protocol import Trainer, TrainingFailed
from mmfreeze.analysis.protocol.part import Part
from mmfreeze.analysis.protocol.training import logged_memory


def run(tmp_path, **options):
    """Runs a protocol from its state on; returns what was called and what was said."""
    protocol, trainer, calls = fake_protocol(tmp_path, **options)
    before, said = len(calls()), []
    protocol.run(trainer, said.append)
    return calls()[before:], said


def run_and_fail(tmp_path):
    """Runs a protocol in which something fails; returns it, the calls, the error, what was said."""
    protocol, trainer, calls = fake_protocol(tmp_path)
    said = []
    with pytest.raises(TrainingFailed) as error:
        protocol.run(trainer, said.append)
    return protocol, calls(), str(error.value), said


def facts_of(tmp_path, row):
    return json.loads((tmp_path / f'out/{row}/seed_0.json').read_text())


def test_all_parts_in_their_order(tmp_path):
    protocol, _, _ = fake_protocol(tmp_path)
    assert protocol.plan() == (
        f'4 rows x 2 seeds of 6 epochs in {tmp_path}/out: 0 done, 0 begun, 8 to train\n'
        "rows: base; afa; frozen; base in afa's time")
    calls, said = run(tmp_path)
    # afa takes 3 / 4 of base's seconds: round(4.5) epochs.
    assert calls == [
        'base/seed_0 new 6 0', 'afa/seed_0 new 6 0', 'frozen/seed_0 new 6 0',
        'base_in_afa_time/seed_0 new 4 0', 'frozen/seed_1 new 6 1', 'base/seed_1 new 6 1',
        'afa/seed_1 new 6 1', 'base_in_afa_time/seed_1 new 4 1']
    assert said[2] == f'[2/8] afa, seed 0: begins in {tmp_path}/out/afa/seed_0'
    assert said[3] == ('[2/8] afa, seed 0: 6 epochs, 18.0 s, 0 layers frozen at the end, '
                       'AR@10 0.500, AP50 0.700, speed-up 1.33')
    # Not with base's seconds of another seed.
    assert said[9].startswith('[5/8] frozen, seed 1: 6 epochs, 12.0 s')
    assert 'speed-up' not in said[9]


def test_a_compressed_row_has_an_epoch_at_least(tmp_path, monkeypatch):
    monkeypatch.setitem(SECONDS, 'AdaptiveFreezing', .1)
    assert run(tmp_path)[0][3] == 'base_in_afa_time/seed_0 new 1 0'


def test_what_is_done_is_not_trained_again(tmp_path):
    run(tmp_path)
    protocol, _, _ = fake_protocol(tmp_path)
    assert '8 done, 0 begun, 0 to train' in protocol.plan()
    calls, said = run(tmp_path)
    assert not calls
    assert len(said) == 8 and all('] done before: ' in line for line in said)
    calls, _ = run(tmp_path, seeds=3, policies=('base', 'afa', 'lfa'))
    assert sorted(calls) == sorted([
        'lfa/seed_0 new 6 0', 'lfa/seed_1 new 6 1', 'base/seed_2 new 6 2', 'afa/seed_2 new 6 2',
        'lfa/seed_2 new 6 2', 'frozen/seed_2 new 6 2', 'base_in_afa_time/seed_2 new 4 2'])


def test_what_was_killed_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv('KILLED', 'afa/seed_0')
    protocol, _, _, said = run_and_fail(tmp_path)
    assert f'[2/8] {tmp_path}/out/afa/seed_0 ended with status -9' in said[3]
    assert '6 done, 1 begun, 1 to train' in protocol.plan()
    calls, said = run(tmp_path)
    assert calls == ['afa/seed_0 resumed 6 0', 'base_in_afa_time/seed_0 new 4 0']
    assert said[1] == f'[2/8] afa, seed 0: goes on in {tmp_path}/out/afa/seed_0'
    assert facts_of(tmp_path, 'afa')['attempts'] == 2
    assert 'Interrupted and resumed: afa (seed 0).' in protocol.write_report('title')


def test_a_part_without_its_last_validation_is_not_done(tmp_path, monkeypatch):
    monkeypatch.setenv('UNVALIDATED', 'base/seed_0')
    _, _, error, said = run_and_fail(tmp_path)
    assert 'base/seed_0 ended before its last epoch' in said[1] and 'base (seed 0)' in error
    monkeypatch.delenv('UNVALIDATED')
    calls, _ = run(tmp_path)
    assert calls[0] == 'base/seed_0 resumed 6 0'


def test_another_config_is_refused_before_anything_runs(tmp_path):
    run(tmp_path, policies=['base'])
    changed = small_config().optim_wrapper
    changed.optimizer.lr = 2e-3
    protocol, trainer, calls = fake_protocol(tmp_path, optim_wrapper=changed)
    before = calls()
    for attempt in (protocol.plan, lambda: protocol.run(trainer, print)):
        with pytest.raises(ValueError, match=f'^{tmp_path}/out/base/seed_0 was trained with '
                           'another config.*--out'):
            attempt()
    assert calls() == before
    # What never began takes the new one.
    (tmp_path / 'out/afa').mkdir()
    (tmp_path / 'out/afa/seed_0.py').write_text('old = 1\n')
    assert '4 done, 0 begun, 4 to train' in fake_protocol(tmp_path)[0].plan()


@pytest.mark.parametrize('row', ['base', 'afa'])
def test_a_failed_part_holds_up_only_those_that_need_it(tmp_path, monkeypatch, row):
    monkeypatch.setenv('BROKEN', f'{row}/seed_0')
    _, calls, error, said = run_and_fail(tmp_path)
    assert error == (f"failed: {row} (seed 0); left out: base in afa's time (seed 0); the same "
                     'command tries again')
    assert calls == [
        'base/seed_0 new 6 0', 'afa/seed_0 new 6 0', 'frozen/seed_0 new 6 0',
        'frozen/seed_1 new 6 1', 'base/seed_1 new 6 1', 'afa/seed_1 new 6 1',
        'base_in_afa_time/seed_1 new 4 1']
    assert "[4/8] base in afa's time, seed 0: left out, for it needs the seconds of base and afa" \
        in said
    shown, = (text for text in said if 'status 3' in text)
    assert shown.startswith(f'[{1 + (row == "afa")}/8] {tmp_path}/out/{row}/seed_0 ended with')
    assert f'out/{row}/seed_0.log' in shown
    assert shown.splitlines()[1:] == [f'line {i}' for i in range(12, 20)]


def interrupt_when(paths):
    """A thread that sends SIGINT once all files are there."""
    def interrupt():
        until = time.monotonic() + 20
        while not all(path.exists() for path in paths) and time.monotonic() < until:
            time.sleep(.02)
        os.kill(os.getpid(), signal.SIGINT)
    return threading.Thread(target=interrupt)


@pytest.mark.parametrize('jobs', [1, 2])
def test_ctrl_c_lets_trainings_stop_by_themselves(tmp_path, monkeypatch, capsys, jobs):
    names = ['afa/seed_0', 'frozen/seed_0'][:jobs]
    monkeypatch.setenv('WAITING', ' '.join(names))
    waits = [tmp_path / 'out' / name / 'waits' for name in names]
    # In the background, a shell may have it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = interrupt_when(waits)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, jobs=jobs)
            pytest.fail('no training waited')
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert 'asked to stop' in capsys.readouterr().err
    assert f'1 done, {jobs} begun' in fake_protocol(tmp_path)[0].plan()
    for path in waits:
        assert len(json.loads((path.parent / 'freezing_timeline.json').read_text())['epochs']) == 3
    assert facts_of(tmp_path, 'afa')['peak_memory'] > 0
    calls, _ = run(tmp_path)
    assert calls[:jobs] == [f'{name} resumed 6 0' for name in names]
    assert facts_of(tmp_path, 'afa')['attempts'] == 2


def test_two_at_a_time(tmp_path, monkeypatch):
    """Two that wait for each other come to their end; what needs others waits for them."""
    monkeypatch.setenv('MEETING', 'base/seed_0 afa/seed_0')
    calls, said = run(tmp_path, jobs=2)
    assert sorted(calls[:2]) == ['afa/seed_0 new 6 0', 'base/seed_0 new 6 0'] and len(calls) == 8
    assert calls.index('base_in_afa_time/seed_0 new 4 0') > 1
    assert said[0].startswith('[1/8] base, seed 0: begins') and said[1].startswith('[2/8] afa')
    assert '2 trainings at a time' in facts_of(tmp_path, 'afa')['device']


def test_one_protocol_at_a_time(tmp_path):
    protocol, trainer, calls = fake_protocol(tmp_path)
    protocol.out.mkdir()
    with open(protocol.out / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match='out is in use by another protocol'):
            protocol.run(trainer, print)
    assert not calls()
    protocol.run(trainer, str)
    assert len(calls()) == 8


def test_a_training_left_behind_holds_the_folder(tmp_path):
    """The protocol is killed; the training that it started goes on."""
    program = tmp_path / 'sleeps.py'
    program.write_text('import os, time\nfrom pathlib import Path\n'
                       f'Path({str(tmp_path)!r}, "pid").write_text(str(os.getpid()))\n'
                       'time.sleep(60)\n')
    trainer = Trainer(program, tmp_path / 'out')

    def protocol():
        with trainer.alone():
            trainer.train(Part(tmp_path / 'out/base', 0, small_config()))

    killed = get_context('fork').Process(target=protocol)
    killed.start()
    pid = tmp_path / 'pid'
    while not (pid.is_file() and pid.read_text()):
        time.sleep(.02)
    killed.kill()
    killed.join()
    assert facts_of(tmp_path, 'base')['attempts'] == 1, 'although nobody saw its end'
    try:
        with pytest.raises(ValueError, match='or by a training that one left behind'):
            with trainer.alone():
                pass
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    until = time.monotonic() + 20
    while True:  # the kernel lets go of it in its own time
        try:
            with trainer.alone():
                return
        except ValueError:
            assert time.monotonic() < until
            time.sleep(.02)


def test_peak_memory_of_a_process(tmp_path):
    """The largest of all attempts counts."""
    program = tmp_path / 'program.py'
    size = tmp_path / 'size'
    program.write_text('import sys\nfrom pathlib import Path\n'
                       f'held = b"1" * int(Path({str(size)!r}).read_text())\nsys.exit(1)\n')
    part = Part(tmp_path / 'out/base', 0, small_config())
    trainer = Trainer(program, tmp_path / 'out')
    # Linux lets a process begin with the peak of the one that starts it.
    least = getrusage(RUSAGE_SELF).ru_maxrss * 2**10
    peaks = []
    for more in (20, 120, 20):
        size.write_text(str(least + more * 2**20))
        with trainer.alone(), pytest.raises(TrainingFailed):
            trainer.train(part)
        peaks.append(part.facts['peak_memory'] / 2**20)
    assert part.facts['attempts'] == 3 and part.facts['memory_of'] == 'the process'
    assert peaks[1] - peaks[0] == pytest.approx(100, abs=5) and peaks[2] == peaks[1]


def test_peak_memory_that_a_device_logged(tmp_path):
    assert logged_memory(tmp_path) is None
    for time_of, lines in (('20260101_000000', '{"loss": 1.5, "memory": 300}\n'
                            '{"loss": 1.5, "memory": 812}\n{"coco/bbox_mAP": 0.1}\n{"loss": 1.'),
                           ('20260101_000100', '{"loss": 1.5, "memory": 790}\n')):
        (tmp_path / time_of / 'vis_data').mkdir(parents=True)
        (tmp_path / time_of / 'vis_data/scalars.json').write_text(lines)
    assert logged_memory(tmp_path) == 812 * 2**20

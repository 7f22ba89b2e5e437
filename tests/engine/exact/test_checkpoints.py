"""Checkpoints that are whole, found again, and written when a job has to end."""
import errno
import multiprocessing.util
import os
import signal
import subprocess
import threading
import time
import traceback
from pathlib import Path

import pytest
import torch
from killed_runs import build, final_state, train
from mmengine.hooks import Hook

from mmfreeze.engine.exact import find_last_whole_checkpoint, require_whole_checkpoint

LFA = dict(type='LinearFreezing')


def save(path, seconds):
    torch.save(dict(state_dict=torch.randn(100)), path)
    os.utime(path, (seconds, seconds))
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[:-60])
    return path


def test_last_whole_checkpoint(tmp_path):
    assert find_last_whole_checkpoint(tmp_path) == (None, [])
    one, two, three = (save(tmp_path / f'epoch_{i}.pth', 100 * i) for i in (1, 2, 3))
    save(tmp_path / 'best_epoch_3.pth', 400)
    assert find_last_whole_checkpoint(tmp_path) == (three, [])
    (tmp_path / 'last_checkpoint').write_text(str(two))
    assert find_last_whole_checkpoint(tmp_path) == (two, []), 'what the run says it wrote last'
    cut(two)
    assert find_last_whole_checkpoint(tmp_path) == (three, [two])
    content = bytearray(three.read_bytes())
    content[len(content) // 2] ^= 1
    three.write_bytes(content)
    assert find_last_whole_checkpoint(tmp_path) == (one, [two, three])
    (tmp_path / 'last_checkpoint').write_text('')
    cut(one)
    save(tmp_path / 'epoch_3-0123abcd.pth', 500)  # published, without an optimizer
    with pytest.raises(ValueError, match='every checkpoint .* is damaged'):
        find_last_whole_checkpoint(tmp_path)
    with pytest.raises(ValueError, match='epoch_1.pth is damaged or truncated'):
        require_whole_checkpoint(one)
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        require_whole_checkpoint(tmp_path / 'absent.pth')


@pytest.mark.parametrize('offset, value', [(8, 1), (10, 99)], ids=['encrypted', 'compression'])
def test_damage_to_what_is_said_of_a_member(tmp_path, offset, value):
    path = save(tmp_path / 'epoch_1.pth', 100)
    content = bytearray(path.read_bytes())
    content[content.rindex(b'PK\x01\x02') + offset] = value  # in the directory of the archive
    path.write_bytes(content)
    with pytest.raises(ValueError, match='epoch_1.pth is damaged or truncated'):
        require_whole_checkpoint(path)


def test_the_checkpoint_that_was_noted(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('elsewhere/epoch_1.pth')
    with pytest.raises(ValueError, match='names elsewhere/epoch_1.pth, which is not there'):
        find_last_whole_checkpoint(tmp_path)
    copy, other = save(tmp_path / 'epoch_1.pth', 100), tmp_path / 'other'
    other.mkdir()
    (tmp_path / 'last_checkpoint').write_text(str(save(other / 'epoch_1.pth', 200)))
    assert find_last_whole_checkpoint(tmp_path) == (copy, []), 'a copied run is one of its own'
    copy.unlink()
    assert find_last_whole_checkpoint(tmp_path)[0].parent == other, 'checkpoints have out_dir'


class FullDisk(Hook):
    """Fills the disk, for large files, once an epoch is over."""
    priority = 'HIGHEST'

    def __init__(self, monkeypatch, epoch):
        self.monkeypatch, self.epoch = monkeypatch, epoch

    def after_train_epoch(self, runner):
        if runner.epoch + 1 == self.epoch:
            real = os.fsync

            def fsync(descriptor):
                if os.fstat(descriptor).st_size > 10_000:
                    raise OSError(errno.ENOSPC, 'No space left on device')
                real(descriptor)
            self.monkeypatch.setattr(os, 'fsync', fsync)


def test_full_disk_leaves_the_last_checkpoints(tmp_path, monkeypatch):
    runner = build(tmp_path, policy=LFA)
    runner.register_hook(FullDisk(monkeypatch, epoch=4))
    with pytest.raises(OSError, match='No space left on device: .*epoch_4.pth'):
        runner.train()
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == [
        'best_error_epoch_2.pth', 'epoch_2.pth', 'epoch_3.pth']
    assert not list(tmp_path.glob('.*')), 'no unfinished files'
    monkeypatch.undo()
    path, damaged = find_last_whole_checkpoint(tmp_path)
    assert path.name == 'epoch_3.pth' and not damaged
    resumed = build(tmp_path, policy=LFA, resume=True)
    resumed.train()
    whole = build(tmp_path / 'whole', policy=LFA)
    whole.train()
    assert final_state(resumed) == final_state(whole)


def test_an_old_best_checkpoint_goes_after_the_new_one_came(tmp_path, monkeypatch):
    seen = []
    real = os.replace

    def replace(source, target):
        if Path(target).name.startswith('best'):
            seen.append((Path(target).name, sorted(p.name for p in tmp_path.glob('best*'))))
        real(source, target)
    monkeypatch.setattr(os, 'replace', replace)
    build(tmp_path, policy=LFA, epochs=8).train()
    assert len(seen) > 1, 'the best result changed'
    for (_, before), (name, _) in zip(seen[1:], seen):
        assert before == [name]
    assert [path.name for path in tmp_path.glob('best*')] == [seen[-1][0]]


class Terminate(Hook):
    """Sends SIGTERM to the process group, behind an iteration or in the validation after it."""

    def __init__(self, number, in_validation):
        self.number, self.in_validation = number, in_validation

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.number and not self.in_validation:
            terminate_group()

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.number and self.in_validation and batch_idx == 0:
            terminate_group()


def terminate_group():
    """Sends SIGTERM to the process group from outside the run, as a scheduler does."""
    subprocess.run(['kill', '-TERM', '--', f'-{os.getpgrp()}'])
    time.sleep(.3)


@pytest.mark.parametrize('number, in_validation, options', [
    (15, False, {}),
    (15, False, dict(workers=2, persistent=True)),
    (15, False, dict(iters=36)),
    (12, False, dict(workers=2)),  # the last iteration of an epoch
    (36, False, {}),  # the last one of all
    (12, True, dict(workers=2, persistent=True)),
    (12, True, dict(iters=36)),
])
def test_sigterm_to_the_whole_job(number, in_validation, options, tmp_path):
    """Workers get it too; the run still ends by itself and goes on with the same bits."""
    options = dict(policy=LFA, **options)
    def run():
        runner = build(tmp_path, **options)
        runner.register_hook(Terminate(number, in_validation))
        runner.train()

    assert os.waitstatus_to_exitcode(wait(fork(run))) == 128 + signal.SIGTERM
    last = Path((tmp_path / 'last_checkpoint').read_text())
    assert last.name == 'stopped.pth'
    assert torch.load(last, weights_only=False)['meta']['iter'] == number
    resumed = train(tmp_path, resume=True, **options)
    whole = train(tmp_path / 'whole', **options)
    for state in (resumed, whole):
        state.pop('events')
    assert resumed == whole


def test_sigterm_while_waiting_for_a_worker(tmp_path):
    """The worker outlives it, delivers its batch, and ends with the run."""
    def run():
        runner = build(tmp_path, policy=LFA, workers=1, persistent=True, slow=.2)
        threading.Timer(1., terminate_group).start()
        runner.train()

    child = fork(run)
    assert os.waitstatus_to_exitcode(wait(child)) == 128 + signal.SIGTERM
    assert (tmp_path / 'stopped.pth').is_file()
    with pytest.raises(ProcessLookupError):  # nobody of its group is left
        for _ in range(100):
            os.killpg(child, 0)
            time.sleep(.1)


def fork(run):
    """Calls a function in a process (and group) of its own, which ends with its status."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        torch.set_num_threads(1)
        run()
        status = 0
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc()
    finally:
        multiprocessing.util._exit_function()  # as at an exit, which waits for loader workers
        os._exit(status)


def wait(child, seconds=60):
    for _ in range(seconds * 10):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail('the run did not end')


def test_sigterm_handler_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    build(tmp_path, policy=LFA, epochs=1).train()
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_circumstances_are_warned_of(tmp_path):
    build(tmp_path, policy=LFA, epochs=2).train()
    left_over = tmp_path / '.epoch_2.pth.123.tmp'
    left_over.write_text('')
    runner = build(tmp_path, policy=LFA, epochs=3, samples=8, resume=True)
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    assert [text for text in warnings if 'instead of' in text] == [
        f'resumed with {words}: training goes on, but not as the uninterrupted run would have'
        for words in ('batches 4 instead of 6', 'images 8 instead of 12')]
    assert not left_over.exists()


def test_resuming_without_an_optimizer_is_refused(tmp_path):
    build(tmp_path, policy=LFA, epochs=2).train()
    best = next(tmp_path.glob('best*.pth'))
    with pytest.raises(ValueError, match='has no optimizer state'):
        build(tmp_path, policy=LFA, resume=True, load_from=str(best)).train()


class NoteBatches(Hook):
    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append((runner.epoch, batch_idx))


@pytest.mark.parametrize('inside', [False, True])
def test_whole_epochs_of_another_length(inside, tmp_path):
    """From an epoch's end the next one follows; an epoch that had begun begins anew; twice."""
    checkpoints = dict(interval=3, by_epoch=False) if inside else dict(interval=1)

    def go_on(samples, epochs):
        note = NoteBatches()
        runner = build(tmp_path, policy=LFA, epochs=epochs, samples=samples, resume=True,
                       accumulate=4, checkpoints=checkpoints)
        runner.register_hook(note)
        runner.train()
        return note.seen

    stop = build(tmp_path, policy=LFA, epochs=2, accumulate=4, checkpoints=checkpoints)
    stop.train()  # 12 iterations, six of them in each epoch
    (tmp_path / 'last_checkpoint').write_text(
        str(tmp_path / ('iter_9.pth' if inside else 'epoch_2.pth')))
    first = go_on(samples=8, epochs=3)
    assert first == [(epoch, i) for epoch in ((1, 2) if inside else (2,)) for i in range(4)]
    # From the last one, which MMEngine writes at the end of training; counting back misleads here.
    assert go_on(samples=8, epochs=4) == [(3, i) for i in range(4)]


@pytest.mark.parametrize('change, message', [
    (dict(policy=dict(type='GeometricFreezing')), 'cannot resume: .* policy'),
    (dict(policy=dict(LFA, start=3, period=7)), 'cannot resume: .* policy')])
def test_another_policy_is_refused(change, message, tmp_path):
    build(tmp_path, policy=LFA, epochs=1).train()
    with pytest.raises(ValueError, match=message):
        build(tmp_path, epochs=2, resume=True, **change).train()


def test_what_the_loops_need(tmp_path):
    runner = build(tmp_path, policy=LFA)
    cfg = dict(runner._train_loop)
    runner._hooks = [hook for hook in runner.hooks if 'Checkpoint' not in type(hook).__name__]
    with pytest.raises(ValueError, match="checkpoint.type='CrashSafeCheckpointHook'"):
        runner.build_train_loop(cfg)
    built = build(tmp_path, policy=LFA)
    built._train_dataloader = built.build_dataloader(built._train_dataloader)
    with pytest.raises(ValueError, match='must be a config'):
        built.build_train_loop(dict(cfg))


def test_only_local_files():
    from mmfreeze.engine.exact import CrashSafeCheckpointHook
    with pytest.raises(ValueError, match='remove backend_args'):
        CrashSafeCheckpointHook(backend_args=dict(backend='petrel'))



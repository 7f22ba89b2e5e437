"""Checkpoints that are whole, found again, and written when a job has to end."""
import errno
import os
import signal
import time
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
    with pytest.raises(ValueError, match='every checkpoint .* is damaged'):
        find_last_whole_checkpoint(tmp_path)
    with pytest.raises(ValueError, match='epoch_1.pth is damaged or truncated'):
        require_whole_checkpoint(one)
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        require_whole_checkpoint(tmp_path / 'absent.pth')


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


@pytest.mark.parametrize('workers, iters', [(0, None), (2, None), (0, 36)])
def test_sigterm_to_the_whole_job(workers, iters, tmp_path):
    """Workers get it too; the run still ends by itself and goes on with the same bits."""
    options = dict(policy=LFA, workers=workers, persistent=bool(workers), iters=iters)
    child = os.fork()
    if child == 0:
        os.setsid()
        torch.set_num_threads(1)
        runner = build(tmp_path, **options)
        runner.register_hook(Terminate(15))
        try:
            runner.train()
        except SystemExit as stop:
            os._exit(stop.code)
        os._exit(0)
    status = wait(child)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM
    last = Path((tmp_path / 'last_checkpoint').read_text())
    assert last.name == 'iter_15.pth'
    resumed = train(tmp_path, resume=True, **options)
    resumed.pop('events')
    whole = train(tmp_path / 'whole', **options)
    whole.pop('events')
    assert resumed == whole


class Terminate(Hook):
    """Sends SIGTERM to the process group in the middle of an iteration."""

    def __init__(self, number):
        self.number = number

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.number:
            os.killpg(0, signal.SIGTERM)
            time.sleep(.3)


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


def test_other_circumstances_are_warned_of(tmp_path, caplog):
    build(tmp_path, policy=LFA, epochs=2).train()
    runner = build(tmp_path, policy=LFA, epochs=3, samples=8, resume=True)
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    assert any('resumed with batches 4 instead of 6' in text for text in warnings)


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
                       checkpoints=checkpoints)
        runner.register_hook(note)
        runner.train()
        return note.seen

    stop = build(tmp_path, policy=LFA, epochs=2, checkpoints=checkpoints)
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



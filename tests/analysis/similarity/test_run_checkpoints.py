"""Checkpoints in the order of training, and files that are none."""
import pytest
import torch
from torch import nn

from mmfreeze.analysis.similarity import read_checkpoints, require_same_model


@pytest.fixture
def save(tmp_path):
    """Returns a function that writes a checkpoint as a run does."""
    def write(epoch, model=nn.Linear(2, 3), **more):
        path = tmp_path / f'epoch_{epoch}.pth'
        torch.save(dict(meta=dict(epoch=epoch, iter=epoch * 7), state_dict=model.state_dict(),
                        **more), path)
        return path
    return write


def test_sorted_by_time_not_by_name(save):
    found = read_checkpoints([save(epoch) for epoch in (1, 10, 2)])
    assert [(checkpoint.epoch, checkpoint.iteration) for checkpoint in found] == [
        (1, 7), (2, 14), (10, 70)]
    assert found[0].record() is None


def test_record_of_the_run(save, tmp_path):
    timeline = dict(decisions=[dict(iteration=14, epoch=2, num_frozen=1)], epochs=[],
                    validations=[], fills=[])
    state = dict(policy=dict(type='LinearFreezing'), layers=[['a'], ['b']], timeline=timeline)
    record = read_checkpoints([save(1), save(2, mmfreeze=state)])[-1].record()
    assert record.name == tmp_path.name and record.decisions[0]['num_frozen'] == 1


def test_what_is_refused(save, tmp_path):
    first, second = save(1), save(2)
    with pytest.raises(ValueError, match='at least two checkpoints'):
        read_checkpoints([first])
    with pytest.raises(ValueError, match='both of iteration 7'):
        read_checkpoints([first, second, first])
    whole = second.read_bytes()
    for content in (b'', b'no checkpoint', whole[:len(whole) // 2]):
        second.write_bytes(content)
        with pytest.raises(ValueError, match=rf'^{second}: not readable as \.pth'):
            read_checkpoints([first, second])
    torch.save(dict(model=dict(a=torch.ones(2))), second)
    with pytest.raises(ValueError, match=f'^{second}: expected a checkpoint of a run'):
        read_checkpoints([first, second])
    torch.save(dict(meta=dict(), state_dict={}), second)
    with pytest.raises(ValueError, match=f'^{second}: its "meta" does not say its epoch'):
        read_checkpoints([first, second])


@pytest.mark.parametrize('other, message', [
    (nn.Linear(2, 5), r'2 tensors differ, such as weight, which is of shape \(5, 2\) in the '
     r"checkpoint and of shape \(3, 2\) in the config's model"),
    (nn.Linear(2, 3, bias=False), 'bias, which is absent in the checkpoint'),
    (nn.Sequential(nn.Linear(2, 3)), '4 tensors differ')])
def test_checkpoints_of_another_model_are_named(save, other, message):
    checkpoints = read_checkpoints([save(1), save(2, other)])
    require_same_model(nn.Linear(2, 3), checkpoints[:1])
    with pytest.raises(ValueError, match=rf'epoch_2\.pth is a checkpoint of another .*{message}'):
        require_same_model(nn.Linear(2, 3), checkpoints)

"""The hook inside MMEngine's own runner and loops, on a model of a few numbers."""
import json
import time

import pytest
import torch
from mmdet.registry import TASK_UTILS
from mmengine.runner import Runner
from tiny_runs import Model, dataloader, run, timeline

from mmfreeze.engine.hooks import LayerFreezingHook
from mmfreeze.engine.timeline import Timeline
from mmfreeze.freezing import AdaptiveFreezing, Clock, LinearFreezing


def test_lfa_in_an_epoch_loop(tmp_path):
    began = time.time()
    runner, watch = run(tmp_path, dict(type='LinearFreezing'), wrapper='OptimWrapper', epochs=8)
    state = runner.optim_wrapper.optimizer.state
    assert not any(p in state for p in runner.model.backbone.parameters())
    assert all(p in state for p in runner.model.head.parameters())
    n = [4 * epoch // 8 for epoch in range(8) for _ in range(6)]
    assert watch.trainable == [3 - k for k in n]
    assert watch.training == watch.trainable
    assert [e['num_frozen'] for e in timeline(tmp_path)['epochs']] == n[::6]
    ends = [e['ended'] for e in timeline(tmp_path)['epochs']]
    assert ends == sorted(ends) and began - .1 <= ends[0] and ends[-1] <= time.time() + .1
    assert [(d['epoch'], d['iteration'], d['num_frozen']) for d in timeline(tmp_path)['decisions']
            ] == [(2, 12, 1), (4, 24, 2), (6, 36, 3)]


def test_lfa_in_an_iteration_loop(tmp_path):
    _, watch = run(tmp_path, dict(type='LinearFreezing'), iters=22, wrapper='OptimWrapper')
    assert watch.trainable == [3 - 4 * it // 22 for it in range(22)]
    assert watch.training == watch.trainable


def test_n_changes_only_between_accumulation_windows(tmp_path):
    _, watch = run(tmp_path, dict(type='LinearFreezing'), iters=22, wrapper='OptimWrapper',
                   accumulative_counts=4)
    expected = [3 - 4 * (it // 4 * 4) // 22 for it in range(22)]
    assert watch.trainable == expected


def test_static_freezing_holds_from_the_first_iteration(tmp_path):
    _, watch = run(tmp_path, dict(type='StaticFreezing', num_frozen=2), epochs=1)
    assert watch.trainable == [1] * 6


def test_afa_decides_from_the_gradients_that_the_optimizer_saw(tmp_path):
    _, watch = run(tmp_path, dict(type='AdaptiveFreezing', alpha=.4), clip_grad=dict(max_norm=.01))
    replayed = AdaptiveFreezing(alpha=.4)
    replayed.setup(3)
    decisions = timeline(tmp_path)['decisions']
    assert [d['epoch'] for d in decisions] == [2, 4, 6]
    for decision in decisions:
        rows = watch.norms[decision['iteration'] - 12:decision['iteration']]
        means = [None if col[-1] is None else sum(col) / 12 for col in zip(*rows)]
        frozen = means.count(None)
        assert decision['grad_norm'][:frozen] == means[:frozen]
        assert decision['grad_norm'][frozen:] == pytest.approx(means[frozen:], rel=1e-5)
        n = replayed.decide(Clock(decision['iteration'], 48, 6), dict(grad_norm=means)).num_frozen
        assert decision['num_frozen'] == n
    assert decisions[-1]['num_frozen'] > 0


def test_afa_reads_whole_accumulation_windows(tmp_path):
    _, watch = run(tmp_path, dict(type='AdaptiveFreezing', alpha=.4), accumulative_counts=3)
    first = timeline(tmp_path)['decisions'][0]
    rows = watch.norms[:4]
    assert len(watch.norms) == 16
    assert first['grad_norm'] == pytest.approx([sum(col) / 4 for col in zip(*rows)], rel=1e-5)


def test_no_freezing_changes_no_bit(tmp_path):
    torch.manual_seed(5)
    model = Model()
    twin = Model()
    twin.load_state_dict(model.state_dict())
    run(tmp_path / 'a', dict(type='NoFreezing'), model=model, epochs=2)
    runner = Runner(model=twin, work_dir=str(tmp_path / 'b'), train_dataloader=dataloader(),
                    train_cfg=dict(by_epoch=True, max_epochs=2), experiment_name='plain',
                    optim_wrapper=dict(optimizer=dict(type='AdamW', lr=.01)),
                    randomness=dict(seed=0))
    runner.train()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters()))
    assert len(timeline(tmp_path / 'a')['epochs']) == 2


@pytest.mark.parametrize('policy', [
    dict(type='LinearFreezing'), dict(type='AdaptiveFreezing', alpha=.4),
    dict(type='AdaptiveFreezing', alpha=.4, test='ratio'),
    dict(type='AdaptiveFreezing', alpha=.4, accumulate='sum'),
    dict(type='StaticFreezing', num_frozen=1)])
@pytest.mark.parametrize('stop', [3, 4])
def test_resume_goes_on_with_n_norms_and_timeline(tmp_path, policy, stop):
    def no_dropout():
        torch.manual_seed(11)
        model = Model()
        for block in model.backbone.blocks:
            block.drop.p = 0
        return model

    whole, _ = run(tmp_path / 'whole', policy, model=no_dropout())
    run(tmp_path / 'part', policy, model=no_dropout())
    for epoch in range(stop + 1, 9):
        (tmp_path / 'part' / f'epoch_{epoch}.pth').unlink()
    (tmp_path / 'part' / 'last_checkpoint').write_text(
        str(tmp_path / 'part' / f'epoch_{stop}.pth'))
    resumed, watch = run(tmp_path / 'part', policy, model=no_dropout(), resume=True)
    assert len(watch.trainable) == 6 * (8 - stop)
    a, b = timeline(tmp_path / 'whole'), timeline(tmp_path / 'part')
    assert a['decisions'] == b['decisions']
    assert [(e['epoch'], e['num_frozen']) for e in a['epochs']] == [
        (e['epoch'], e['num_frozen']) for e in b['epochs']]
    for p, q in zip(whole.model.parameters(), resumed.model.parameters()):
        assert torch.equal(p, q) and p.requires_grad == q.requires_grad


@pytest.mark.parametrize('change, message', [
    (dict(policy=dict(type='LinearFreezing', period=3)), 'policy'),
    (dict(policy=dict(type='GeometricFreezing')), 'policy'),
    (dict(model=Model(depth=4)), 'layers'),
    (dict(hook=dict(layers=['backbone.blocks.0', 'backbone.blocks.*'])), 'share'),
])
def test_resuming_as_something_else_is_refused(tmp_path, change, message):
    run(tmp_path, dict(type='LinearFreezing'), epochs=2)
    if 'model' in change:
        checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
        checkpoint['state_dict'] = change['model'].state_dict()
        checkpoint.pop('optimizer')
        torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    with pytest.raises(ValueError, match=message):
        run(tmp_path, **dict(dict(policy=dict(type='LinearFreezing')), epochs=4, resume=True,
                             **change))


def test_resuming_an_unfrozen_run_is_refused_but_its_weights_load(tmp_path):
    run(tmp_path, dict(type='NoFreezing'), epochs=1)
    path = tmp_path / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=False)
    del checkpoint['mmfreeze']
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match='load_from'):
        run(tmp_path, dict(type='LinearFreezing'), epochs=2, resume=True)
    _, watch = run(tmp_path / 'new', dict(type='LinearFreezing'), epochs=4, load_from=str(path))
    assert watch.trainable[0] == 3


def test_weights_of_a_frozen_run_load_into_a_fresh_one(tmp_path):
    run(tmp_path, dict(type='StaticFreezing', num_frozen=3), epochs=1)
    _, watch = run(tmp_path / 'new', dict(type='NoFreezing'), epochs=1,
                   load_from=str(tmp_path / 'epoch_1.pth'))
    assert watch.trainable == [3] * 6


def test_checkpoint_state_is_of_plain_types(tmp_path):
    run(tmp_path, dict(type='AdaptiveFreezing'), epochs=4)
    state = torch.load(tmp_path / 'epoch_3.pth', weights_only=False)['mmfreeze']
    assert json.loads(json.dumps(state['policy_state'])) == state['policy_state']
    assert json.loads(json.dumps(state['timeline'])) == state['timeline']
    torch.save(state, tmp_path / 'state.pth')
    assert torch.load(tmp_path / 'state.pth', weights_only=True) == state


def test_afa_without_the_wrapper_names_the_fix(tmp_path):
    with pytest.raises(ValueError, match="AdaptiveFreezing.*optim_wrapper.type='FreezeOptimWrap"):
        run(tmp_path, dict(type='AdaptiveFreezing'), wrapper='OptimWrapper')


def test_wrong_policy_settings_are_named_at_build(tmp_path):
    with pytest.raises(ValueError, match='max_frozen=9.*3 freezable'):
        run(tmp_path, dict(type='LinearFreezing', max_frozen=9))
    with pytest.raises(KeyError, match='LinearFreezign'):
        run(tmp_path, dict(type='LinearFreezign'))
    with pytest.raises(ValueError, match='LinearFreezing.*perido'):
        LayerFreezingHook(policy=dict(type='LinearFreezing', perido=5))
    with pytest.raises(ValueError, match='StoredPrefix.*max_mb'):
        LayerFreezingHook(policy=dict(type='LinearFreezing'), store=dict(max_mb=1))
    with pytest.raises(ValueError, match='LearnAndDrop.interval is missing'):
        run(tmp_path, dict(type='LearnAndDrop'), iters=6)
    with pytest.raises(ValueError, match='period'):
        TASK_UTILS.build(dict(type='LinearFreezing', period=0))


def test_a_policy_given_as_a_class_is_recorded_by_name(tmp_path):
    run(tmp_path, dict(type=LinearFreezing), epochs=4)
    assert timeline(tmp_path)['policy'] == dict(type='LinearFreezing')
    _, watch = run(tmp_path, dict(type='LinearFreezing'), epochs=4, resume=True)
    assert watch.trainable == []


@pytest.mark.parametrize('cfg, words', [
    (dict(activation_checkpointing=['backbone.blocks.1']), 'reentrant'),
    (dict(compile=dict(backend='eager')), 'compile_blocks=True')])
def test_what_freezing_does_not_go_with_is_refused_before_training(cfg, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        run(tmp_path, dict(type='LinearFreezing'), cfg=cfg)
    assert not (tmp_path / 'freezing_timeline.json').exists()


def test_validation_at_the_checkpoint_survives_a_resume_in_an_iteration_loop(tmp_path):
    record = Timeline(tmp_path / 'freezing_timeline.json', dict(type='LinearFreezing'), [['a']])
    record.add_decision(iteration=5, epoch=0, num_frozen=1)
    state = record.state_dict()
    record.add_validation(iteration=10, epoch=0, metrics={'coco/bbox_mAP': .5})
    record.add_validation(iteration=20, epoch=0, metrics={'coco/bbox_mAP': .6})
    again = Timeline(record.path, dict(type='LinearFreezing'), [['a']])
    again.load_state_dict(state, iteration=10)
    assert [v['iteration'] for v in again.validations] == [10]
    assert timeline(tmp_path)['decisions'] == state['decisions']
    # Where the file is damaged, the checkpoint's own record goes on.
    for text in ('{"valid', '[]', '{}'):
        record.path.write_text(text)
        again = Timeline(record.path, dict(type='LinearFreezing'), [['a']])
        again.load_state_dict(state, iteration=10)
        assert again.validations == [] and timeline(tmp_path)['decisions'] == state['decisions']


def test_scalars_are_logged(tmp_path):
    run(tmp_path, dict(type='AdaptiveFreezing', alpha=.4))
    lines = [json.loads(line) for path in tmp_path.glob('*/vis_data/scalars.json')
             for line in path.read_text().splitlines()]
    frozen = [line['freeze/num_frozen'] for line in lines if 'freeze/num_frozen' in line]
    params = [line['freeze/trainable_params'] for line in lines if 'freeze/num_frozen' in line]
    assert frozen[0] == 0 and frozen[-1] == timeline(tmp_path)['decisions'][-1]['num_frozen'] > 0
    assert params == [65 - 20 * n for n in frozen]
    assert any('freeze/grad_norm/layer_00' in line for line in lines)

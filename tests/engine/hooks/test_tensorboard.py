"""The scalars of a run with freezing, in TensorBoard."""
import pytest
from tiny_runs import run, timeline

accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')


def test_scalars_of_freezing(tmp_path):
    run(tmp_path, dict(type='AdaptiveFreezing'), epochs=4,
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')]))
    file, = tmp_path.glob('*/vis_data/events.out.tfevents.*')
    events = accumulator.EventAccumulator(str(file)).Reload()
    decisions = timeline(tmp_path)['decisions']
    frozen = events.Scalars('freeze/num_frozen')
    assert frozen[0].value == 0 and {event.value for event in frozen[1:]} >= {
        decision['num_frozen'] for decision in decisions}
    # Layer 0 freezes at the first decision, the last one is looked at until the end.
    for layer, at in ((0, decisions[:1]), (2, decisions)):
        norms = events.Scalars(f'freeze/grad_norm/layer_{layer:02d}')
        assert [event.step for event in norms] == [d['iteration'] for d in at]
        assert [event.value for event in norms] == pytest.approx(
            [d['grad_norm'][layer] for d in at])

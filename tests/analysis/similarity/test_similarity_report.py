"""What is said about layers that settled and froze."""
from dataclasses import replace

import pytest
from matplotlib.image import imread

from mmfreeze.analysis.similarity import Freezing, Similarity
from mmfreeze.analysis.similarity.picture import plot_similarity
from mmfreeze.analysis.similarity.report import judgement, similarity_report, similarity_table
from mmfreeze.analysis.timeline import RunRecord

LAYERS = [['a', 'b'], ['c'], ['d']]


@pytest.fixture
def similarity():
    """Three layers: one settles at once, one settles and leaves again, one is always the same."""
    return Similarity(
        layers=LAYERS, files=['e1.pth', 'e2.pth', 'e5.pth', 'e9.pth'], unit='epoch',
        times=[1, 2, 5, 9], cka=[[.9, .95, .99, 1.], [.92, .7, .93, 1.], [None] * 4],
        threshold=.9, images=32, minibatches=2)


def judged(own=False):
    record = RunRecord('lfa', dict(type='LinearFreezing'), LAYERS, decisions=[
        dict(iteration=0, epoch=0, num_frozen=0), dict(iteration=30, epoch=3, num_frozen=2),
        dict(iteration=60, epoch=6, num_frozen=3)])
    return Freezing.of(record, 'epoch', LAYERS, own)


def test_settled_is_from_when_on_it_stays(similarity):
    assert [similarity.settled(layer) for layer in range(3)] == [0, 2, None]
    assert replace(similarity, threshold=.94).settled(1) == 3


def test_last_checkpoint_at_or_before(similarity):
    assert [similarity.last_before(time) for time in (0, 1, 3, 5, 12)] == [None, 0, 1, 2, 3]


def test_table(similarity):
    assert similarity_table(replace(similarity, freezing=judged())).splitlines() == [
        '| layer |     1 |     2 |     5 |     9 | settled | froze after |',
        '| ----: | ----: | ----: | ----: | ----: | ------: | ----------: |',
        '|     0 | 0.900 | 0.950 | 0.990 | 1.000 |       1 |           3 |',
        '|     1 | 0.920 | 0.700 | 0.930 | 1.000 |       5 |           3 |',
        '|     2 |     - |     - |     - |     - |       - |           6 |']


def test_freezing_of_another_run_is_judged(similarity):
    lines = judgement(replace(similarity, freezing=judged()))
    assert lines[0] == 'lfa (LinearFreezing):'
    assert lines[3] == ('- layer 1 froze after epoch 3; its CKA to the final model was 0.700 at '
                        'epoch 2 (e2.pth), the nearest checkpoint before')
    assert lines[4].endswith('layer 2 froze after epoch 6; it has no CKA in e5.pth')
    assert lines[-1] == '1 of the 3 layers that froze had not reached 0.9 by then: 1.'


def test_judged_at_the_very_checkpoint_and_before_all_of_them(similarity):
    freezing = Freezing('run', 'StaticFreezing', [0, 5, 20], own=False)
    lines = judgement(replace(similarity, freezing=freezing))
    assert lines[2] == '- layer 0 froze after epoch 0; no checkpoint is that early'
    assert lines[3].endswith('its CKA to the final model was 0.930 then (e5.pth)')
    assert lines[4].endswith('after epoch 20; that is not before the final model, to which it is '
                             'compared')
    assert lines[-1].startswith('None of the 3 layers that froze is known')


def test_own_freezing_is_no_evidence(similarity):
    assert 'its CKA is 1 from then on' in judgement(replace(similarity, freezing=judged(True)))[-1]


def test_nothing_to_judge(similarity):
    never = Freezing('base', 'NoFreezing', [None] * 3, own=False)
    assert judgement(replace(similarity, freezing=never)) == [
        'base (NoFreezing) froze none of these layers.']
    never = replace(never, own=True)
    assert '--freezing judges another' in judgement(replace(similarity, freezing=never))[0]
    assert 'no record of freezing; --freezing judges another' in judgement(similarity)[0]


def test_records_of_other_layers_are_refused():
    record = RunRecord('other', dict(type='NoFreezing'), [['a']])
    with pytest.raises(ValueError, match='other was trained with 1 layers .* not the 3'):
        Freezing.of(record, 'epoch', LAYERS, own=True)


def test_report_says_what_a_dash_means(similarity):
    text = similarity_report('model.py', similarity)
    assert text.startswith('model.py\n') and '32 images in 2 minibatches' in text
    assert 'no CKA' in text
    assert 'no CKA' not in similarity_report('', replace(similarity, cka=[[1.] * 4] * 3))


def test_picture_marks_where_layers_froze(similarity, tmp_path):
    marked = {}
    for name, freezing in (('plain', None), ('judged', judged())):
        plot_similarity(replace(similarity, freezing=freezing), tmp_path / f'{name}.png')
        picture = imread(tmp_path / f'{name}.png')[..., :3]
        marked[name] = (abs(picture - [0xd5 / 255, 0x5e / 255, 0]).max(-1) < .02).sum()
    # Three layers and the legend.
    assert marked['plain'] == 0 and marked['judged'] > 4 * 20

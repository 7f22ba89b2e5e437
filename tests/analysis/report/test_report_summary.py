"""The report says what runs did and cost, good or bad."""
import pytest

from mmfreeze.analysis.report.summary import summarise
from mmfreeze.analysis.tables import comparison


def sentences(*runs):
    return summarise(runs, comparison(runs))


@pytest.fixture
def base(write_run):
    return write_run('base')


def test_what_was_trained_saved_and_lost(base, write_run):
    lfa = write_run('lfa', 'LinearFreezing', (0, 1, 1, 2), (2., 1.5, 1.5, 1.), ap50=.7)
    assert sentences(base, lfa) == [
        'FasterRCNN with the backbone ResNet, in which 3 layers can freeze, was trained on '
        'ToyDataset (data/toy/) for 4 epochs.',
        'base (NoFreezing) froze none of 3 layers. Training took 8.00 s; at its end: AP 0.375, '
        'AP50 0.750.',
        'lfa (LinearFreezing) had 1 of 3 layers frozen from epoch 2 on, 2 from epoch 4 on. It '
        'saved 25.0 % of the training time of base (6.00 s against 8.00 s). It lost accuracy: AP '
        '0.350 against 0.375 (−0.025), AP50 0.700 against 0.750 (−0.050).',
        'There is but one seed of a config: equal accuracy is not claimed, which takes 3 seeds or '
        'more, and small differences mean nothing.']


@pytest.mark.parametrize('ap50, verdict', [
    (.8, 'Its accuracy is higher: AP 0.400 against 0.375 (+0.025)'),
    (.75, 'Its accuracy is the same in all digits shown: AP 0.375 against 0.375 (±0.000)')])
def test_nothing_saved(base, write_run, ap50, verdict):
    slow = write_run('slow', 'StaticFreezing', (3, 3, 3, 3), (2., 2., 2., 4.), ap50=ap50)
    text = sentences(base, slow)[2]
    assert 'had 3 of 3 layers frozen from epoch 1 on. It saved no training time: it took 25.0 % ' \
        'more than base (10.0 s against 8.00 s).' in text
    assert verdict in text


def test_unfinished(base, write_run):
    half = write_run('half', 'LinearFreezing', (0, 1), (2., 1.), ap50=.7)
    text = sentences(base, half)[2]
    assert 'half is unfinished (2 of 4 epochs).' in text
    assert 'It saved 25.0 % of the training time of base, over the first 2 epochs of both.' in text
    assert 'Its accuracy is not compared' in text and '0.7' not in text


def test_unfinished_base(write_run):
    half = write_run('half', frozen=(0, 0), seconds=(2., 2.), ap50=None)
    whole = write_run('whole', 'LinearFreezing', (0, 1, 1, 1), (2., 1., 1., 1.))
    texts = sentences(half, whole)
    assert texts[1] == 'half (NoFreezing) froze none of 3 layers. half is unfinished (2 of 4 ' \
        'epochs).'
    assert 'saved 25.0 % of the training time of half, over the first 2 epochs' in texts[2]
    assert 'not compared' in texts[2]
    assert texts[3] == 'Equal accuracy is not claimed: no two configs have a finished run.'


def test_not_begun(base, write_run):
    text = sentences(base, write_run('new', 'LinearFreezing', (), (), ap50=None))[2]
    assert text.startswith('new (LinearFreezing) has no finished epoch yet.')
    assert 'saved' not in text


def test_three_seeds(write_run):
    runs = [write_run(f'base/seed_{seed}', seed=seed, ap50=.75 + .01 * seed) for seed in range(3)]
    runs += [write_run(f'lfa/seed_{seed}', 'LinearFreezing', (0, 1, 1, 2), (1., 1., 1., 1.),
                       seed=seed, ap50=.76) for seed in range(3)]
    texts = sentences(*runs)
    assert texts[1].startswith('base/seed_0, base/seed_1, base/seed_2 (NoFreezing)')
    assert 'saved 50.0 %' in texts[2]
    assert 'AP50 0.760 against 0.760 ± 0.010 (±0.000)' in texts[2]
    assert texts[3] == 'Every figure of finished runs is the mean of at least 3 seeds, with the ' \
        'standard deviation of a run.'
    del runs[3:5]
    half = write_run('half', 'FreezeOut', (0, 1))
    assert sentences(*runs, half)[4].startswith('There is but one seed of a config'), (
        'the fewest of those that are finished')


def test_seeds_are_compared_with_their_own(write_run):
    runs = [write_run(f'base/seed_{seed}', seconds=(s, s, s, s), seed=seed)
            for seed, s in enumerate((2.5, 5.))]
    lfa = write_run('lfa', 'LinearFreezing', (0, 1, 1, 1), (5., 5., 3., 3.), seed=1)
    assert 'saved 20.0 % of the training time of seed_0, seed_1 (16.0 s against 20.0 s)' \
        in sentences(*runs, lfa)[2]


def test_metrics_that_are_no_numbers(base, write_run):
    lost = [write_run(f'lost/seed_{seed}', 'LinearFreezing', (0, 1, 1, 1), ap50=float('nan'),
                      seed=seed) for seed in range(2)]
    assert 'Accuracy cannot be compared' in sentences(base, *lost)[2]


def test_runs_without_a_seed_have_different_ones(write_run):
    runs = [write_run(f'{policy}/{i}', policy, seed=None) for policy in
            ('NoFreezing', 'LinearFreezing') for i in range(3)]
    assert 'at least 3 seeds' in sentences(*runs)[3]


def test_run_without_a_config(base, write_run):
    text = sentences(write_run('bare', config=False), base)[0]
    assert text == ('bare has no readable config, so what was trained is not known, but that it '
                    'has 3 layers that can freeze.')

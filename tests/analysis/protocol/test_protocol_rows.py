"""The rows of the protocol: what each is trained with, and in which order."""
import re
from pathlib import Path

import pytest
from fake_training import small_config
from mmdet.registry import HOOKS, OPTIM_WRAPPERS, TASK_UTILS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfreeze.analysis.protocol import POLICIES, make_rows, with_epochs
from mmfreeze.analysis.protocol.order import interleaved
from mmfreeze.analysis.protocol.part import Part, config_text
from mmfreeze.engine.optimizers import GradSignalMixin, LayerRatesMixin

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'


def toy(**options):
    cfg = Config.fromfile(CONFIGS / 'vitdet_base_toy.py')
    cfg.train_dataloader.dataset.pipeline = [
        step for step in cfg.train_pipeline if step['type'] != 'RandomFlip']
    cfg.merge_from_dict(options)
    return cfg


def rows_of(cfg, *policies):
    return {row.name: row for row in make_rows(cfg, policies, 12)}


def hook_of(row):
    hook, = row.config.custom_hooks
    return hook


# --------------------------------------------------------------------------------------------------
# What a row is trained with
# --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'AmpOptimWrapper'])
@pytest.mark.parametrize('name', [*POLICIES, 'frozen'])
def test_each_row_has_what_its_hook_needs(name, wrapper):
    init_default_scope('mmdet')
    rows = rows_of(toy(**{'optim_wrapper.type': wrapper}), *POLICIES)
    row = rows[name]
    policy = TASK_UTILS.build(hook_of(row)['policy'])
    kind = OPTIM_WRAPPERS.get(row.config.optim_wrapper.type)
    assert kind.__name__.startswith('Amp') == (wrapper == 'AmpOptimWrapper')
    if 'grad_norm' in policy.wants:
        assert issubclass(kind, GradSignalMixin)
    if policy.sets_lr:
        assert issubclass(kind, LayerRatesMixin)
        assert row.config.optim_wrapper.constructor == 'LayerGroupsConstructor'
    policy.setup(12)
    if name == 'frozen':
        assert policy.limit == 12
    store = dict(learndrop=dict(where='ram'), **{'afa+store': 'auto'}).get(name)
    assert hook_of(row).get('store') == store
    if store != 'auto':
        HOOKS.build(hook_of(row))


def test_rows_are_those_of_the_configs():
    """The protocol's rows train as the configs of the same names do."""
    rows = rows_of(Config.fromfile(CONFIGS / 'vitdet_base_toy.py'), 'lfa', 'afa', 'freezeout')
    for name in ('lfa', 'afa', 'freezeout'):
        other = Config.fromfile(CONFIGS / f'vitdet_{name}_toy.py')
        ours = rows[name].config
        wanted = dict(other.custom_hooks[0].policy)
        if name == 'freezeout':
            wanted.setdefault('scaled', False)
        assert hook_of(rows[name])['policy'] == wanted
        assert ours.param_scheduler == other.param_scheduler
        assert ours.optim_wrapper.type.removeprefix('mmdet.') == other.optim_wrapper.type
        assert {k: v for k, v in ours.to_dict().items() if k not in (
            'custom_hooks', 'optim_wrapper', 'param_scheduler')} == {
            k: v for k, v in other.to_dict().items() if k not in (
                'custom_hooks', 'optim_wrapper', 'param_scheduler')}


def test_freezeout_is_scaled_under_sgd_and_knows_the_warm_up():
    cfg = small_config()
    assert hook_of(rows_of(cfg, 'freezeout')['freezeout'])['policy'] == dict(
        type='FreezeOut', scaled=False, warmup=10)
    cfg.optim_wrapper.optimizer.type = 'SGD'
    row = rows_of(with_epochs(cfg, 3), 'freezeout')['freezeout']
    assert hook_of(row)['policy'] == dict(type='FreezeOut', scaled=True, warmup=5)
    assert [s.type for s in row.config.param_scheduler] == ['LinearLR']


def test_layers_and_other_hooks_stay():
    cfg = small_config(custom_hooks=[
        dict(type='EMAHook'), dict(type='mmdet.LayerFreezingHook', layers=['x.*'],
                                   policy=dict(type='NoFreezing'))])
    hooks = rows_of(cfg, 'lfa')['lfa'].config.custom_hooks
    assert hooks == [dict(type='mmdet.LayerFreezingHook', layers=['x.*'],
                          policy=dict(type='LinearFreezing')), dict(type='EMAHook')]
    cfg.pop('custom_hooks')
    hook, = rows_of(cfg, 'lfa')['lfa'].config.custom_hooks
    assert HOOKS.build(hook).policy_cfg == dict(type='LinearFreezing')


FILE = dict(where='file', dtype='float16', max_gb=12.)


@pytest.mark.parametrize('store, afa, learndrop', [
    (None, 'auto', dict(where='ram')),
    ('auto', dict(when='auto'), dict(where='ram', when='auto')),
    (FILE, dict(FILE, when='auto'), FILE),
    (dict(dtype='bfloat16', when='always'), dict(dtype='bfloat16', when='auto'),
     dict(where='ram', dtype='bfloat16', when='always')),
])
def test_settings_of_the_store_stay_in_the_rows_that_store(store, afa, learndrop):
    cfg = small_config()
    cfg.custom_hooks[0].store = store
    found = {name: hook_of(row).get('store', 'none')
             for name, row in rows_of(cfg, 'afa', 'afa+store', 'learndrop').items()}
    assert found == {'base': 'none', 'afa': 'none', 'afa+store': afa, 'learndrop': learndrop,
                     'frozen': 'none', "base in afa's time": 'none',
                     "base in afa+store's time": 'none'}
    assert cfg.custom_hooks[0].store == store


def test_freezeout_takes_the_constructor_by_its_scope_too():
    cfg = small_config()
    cfg.optim_wrapper.constructor = 'mmdet.LayerGroupsConstructor'
    assert hook_of(rows_of(cfg, 'freezeout')['freezeout'])['policy']['type'] == 'FreezeOut'


def test_which_rows_there_are():
    jittered = small_config(model=dict(type='jittered'))
    rows = make_rows(small_config(), ['afa', 'base', 'afa+store'], 3, jittered)
    assert [row.name for row in rows] == [
        'base', 'afa', 'afa+store', 'frozen', 'jittered base', "base in afa's time",
        "base in afa+store's time"]
    assert [row.folder for row in rows[-2:]] == ['base_in_afa_time', 'base_in_afa+store_time']
    assert [row.needs for row in rows[-3:]] == [(), ('base', 'afa'), ('base', 'afa+store')]
    assert rows[4].config.model.type == 'jittered'
    assert [row.name for row in make_rows(small_config(), ['lfa'], 3)] == ['base', 'lfa', 'frozen']


# --------------------------------------------------------------------------------------------------
# What is refused
# --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize('settings, policies, words', [
    ({}, ['lfo'], '--policies lfo: known are base, lfa, afa'),
    ({}, ['lfa', 'lfa'], '--policies names lfa twice'),
    ({}, ['base', 'afa', 'frozen'], '--policies frozen: known are'),
    (dict(custom_hooks=[dict(type='LayerFreezingHook', policy=dict(type='LinearFreezing'))]),
     ['afa'], 'freezes by LinearFreezing: give the un-frozen one'),
    (dict(custom_hooks=[dict(type='LayerFreezingHook', policy=dict(type='NoFreezing'))] * 2),
     ['afa'], 'LayerFreezingHook 2 times'),
    (dict(optim_wrapper=dict(type='ApexOptimWrapper')), ['afa'], "'ApexOptimWrapper' has no"),
    (dict(optim_wrapper=dict(type='OptimWrapper')), ['freezeout'], 'LayerGroupsConstructor'),
    (dict(param_scheduler=dict(type='LinearLR', end=3)), ['freezeout'], 'by_epoch=False and end'),
    (dict(train_cfg=dict(type='ExactIterBasedTrainLoop', max_iters=9)), ['lfa'],
     'train_cfg.type is ExactIterBasedTrainLoop'),
    (dict(train_cfg=dict(by_epoch=True, max_epochs=6)), ['lfa'], 'to ExactEpochBasedTrainLoop'),
    (dict(train_cfg=dict(type='mmdet.ExactEpochBasedTrainLoop', max_epochs=6, val_begin=7)),
     ['lfa'], 'train_cfg.val_begin is 7, behind the last of 6 epochs'),
    (dict(val_dataloader=None), ['lfa'], 'val_dataloader is missing'),
    (dict(compile=True), ['lfa'], 'compile of MMEngine'),
    (dict(activation_checkpointing=['backbone']), ['base'], 'activation_checkpointing of MMEng'),
])
def test_wrong_input_is_named(settings, policies, words):
    with pytest.raises(ValueError) as error:
        make_rows(small_config(**settings), policies, 3)
    assert words in str(error.value) and '\n' not in str(error.value)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match='jittered config has 4 epochs, the other one 6.*--epochs'):
        make_rows(small_config(), ['lfa'], 3, with_epochs(small_config(), 4))


def test_a_jittered_row_that_is_never_done_is_refused():
    with pytest.raises(ValueError, match='val_dataloader is missing'):
        make_rows(small_config(), ['lfa'], 3, small_config(val_dataloader=None))
    # Nothing is frozen in it.
    make_rows(small_config(), ['lfa'], 3, small_config(compile=True))


@pytest.mark.parametrize('name', ['afa+store', 'learndrop'])
def test_what_cannot_be_stored_is_refused(name):
    def loader(*kinds):
        inner = dict(type='ToyDataset', pipeline=[dict(type=kind) for kind in kinds])
        return dict(dataset=dict(type='ClassBalancedDataset', dataset=inner))

    cfg = small_config(train_dataloader=loader('LoadImageFromFile', 'RandomResize', 'RandomFlip'))
    with pytest.raises(ValueError, match=f'^{re.escape(name)}: .*RandomResize.*ReplayableVi'):
        make_rows(cfg, ['base', name], 3)
    make_rows(cfg, ['base', 'lfa', 'afa'], 3)
    views = 'LoadImageUnlessStored', 'ReplayableViews', 'PackDetInputs'
    make_rows(small_config(train_dataloader=loader(*views)), [name], 3)
    with pytest.raises(ValueError, match='RandomFlip'):
        make_rows(small_config(train_dataloader=loader(*views, 'RandomFlip')), [name], 3)


@pytest.mark.parametrize('settings, kind', [
    (dict(model=dict(data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad'), dict(type='mmdet.BatchResize')]))),
     'BatchResize'),
    (dict(data_preprocessor=dict(batch_augments=dict(augments=[dict(type='Mixup')]))), 'Mixup'),
    (dict(model=dict(train_cfg=dict(augments=dict(type='CutMix')))), 'CutMix'),
    (dict(custom_hooks=[dict(type='mmdet.PipelineSwitchHook')]), 'PipelineSwitchHook'),
    (dict(custom_hooks=[dict(type='SwitchRecipeHook')]), 'SwitchRecipeHook'),
])
def test_batches_and_pipelines_that_change_cannot_be_stored(settings, kind):
    cfg = small_config(**settings)
    with pytest.raises(ValueError, match=rf'^afa\+store and learndrop: .* but {kind}\b.*them out'):
        make_rows(cfg, ['afa+store', 'learndrop'], 3)
    make_rows(cfg, ['lfa'], 3)


def test_batches_padded_alike_can_be_stored():
    rows = make_rows(small_config(model=dict(data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad')]))), ['learndrop'], 3)
    assert 'learndrop' in [row.name for row in rows]


# --------------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------------
def test_a_config_is_the_same_when_read_back(tmp_path):
    row = rows_of(toy(), 'afa+store')['afa+store']
    part = Part(tmp_path / row.folder, 7, row.config)
    part.write_config()
    read = Config.fromfile(part.config).to_dict()
    wanted = row.config.to_dict()
    assert read.pop('randomness') == dict(seed=7) and wanted.pop('randomness') == dict(seed=0)
    assert read['default_hooks'].pop('checkpoint') == dict(
        wanted['default_hooks'].pop('checkpoint'), max_keep_ckpts=1, save_best=None)
    assert read == wanted
    assert read['optim_wrapper']['optimizer']['betas'] == (.9, .999)  # a tuple stays one


def test_what_is_no_text_is_named():
    cfg = small_config()
    cfg.model = dict(type=Part)
    with pytest.raises(ValueError, match='^model of the config cannot be written'):
        config_text(cfg)


# --------------------------------------------------------------------------------------------------
# Order
# --------------------------------------------------------------------------------------------------
def test_the_order_turns_from_seed_to_seed():
    rows = make_rows(small_config(), ['lfa', 'afa'], 3)
    assert [row.name for row in rows] == ['base', 'lfa', 'afa', 'frozen', "base in afa's time"]
    order = [(row.name, seed) for row, seed in interleaved(rows, 3)]
    assert [seed for _, seed in order] == [0] * 5 + [1] * 5 + [2] * 5
    assert [[name for name, of in order if of == seed] for seed in range(3)] == [
        ['base', 'lfa', 'afa', 'frozen', "base in afa's time"],
        ['lfa', 'afa', 'frozen', 'base', "base in afa's time"],
        ['frozen', 'base', 'lfa', 'afa', "base in afa's time"]]


def test_one_seed_keeps_the_order():
    rows = make_rows(small_config(), ['afa'], 3)
    assert [row.name for row, _ in interleaved(rows, 1)] == [row.name for row in rows]

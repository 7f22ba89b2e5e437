"""What the benchmark measures, on a detector small enough to reckon with."""
import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import init_default_scope

from mmfreeze.analysis.benchmark import Subject, measure_freezing, measure_overhead
from mmfreeze.analysis.benchmark.batch import training_batch
from mmfreeze.analysis.benchmark.measure import SavedBytes, _fixed_costs
from mmfreeze.analysis.benchmark.report import benchmark_table, overhead_table
from mmfreeze.analysis.benchmark.stopwatch import Stopwatch
from mmfreeze.analysis.plots import plot_benchmark

CPU = torch.device('cpu')


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch, request):
    init_default_scope('mmdet')
    monkeypatch.setattr('mmfreeze.analysis.benchmark.measure.OVERHEAD_PAIRS', 1)
    monkeypatch.chdir(request.config.rootpath)


def vitdet(tmp_path):
    """The toy detector with 4 blocks of width 32 on 64 px, its data absent."""
    cfg = Config.fromfile('configs/vitdet_afa_toy.py')
    cfg.model.backbone.update(img_size=64, embed_dim=32, num_heads=2, depth=4, window_size=2,
                              global_attn_indexes=(3,), drop_path_rate=.5)
    cfg.model.neck.update(in_channels=32)
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'absent')
    return cfg


@pytest.fixture
def subject(tmp_path):
    cfg = vitdet(tmp_path)
    return Subject(cfg, training_batch(cfg, 2).data, CPU)


def resnet():
    cfg = get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py')
    cfg.model.backbone.update(frozen_stages=-1, norm_eval=False)
    cfg.train_dataloader.dataset.data_root = 'absent/'
    return cfg


def swin():
    cfg = get_config('mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py')
    cfg.model.backbone.update(depths=[1, 1, 2, 1])
    cfg.train_dataloader.dataset.data_root = 'absent/'
    return cfg


def gradients(subject, kind, n, seed=3):
    """Gradients that an iteration hands to the optimizer, and the parameters that it steps."""
    seen = {}

    def watch(wrapper):
        def step(**kwargs):
            seen.update({name: p.grad.clone() for name, p in subject.model.named_parameters()
                         if p.grad is not None})
            owned = {id(p) for group in wrapper.optimizer.param_groups for p in group['params']}
            seen[''] = {name for name, p in subject.model.named_parameters()
                        if id(p) in owned and p.requires_grad}
        wrapper.step = step

    with getattr(subject, kind)(n, watch) as iterate:
        torch.manual_seed(seed)
        iterate()
    return seen


@pytest.mark.parametrize('make', [None, resnet, swin])
def test_the_ideal_does_the_same_work_behind_the_prefix(make, subject, monkeypatch):
    """Same gradients for the same parameters: nothing more is computed, and nothing less."""
    if make is not None:
        cfg = make()
        monkeypatch.setattr('mmfreeze.analysis.benchmark.batch.input_size', lambda cfg: (64, 64))
        subject = Subject(cfg, training_batch(cfg, 1).data, CPU)
    for n in (0, 3):
        frozen, ideal = gradients(subject, 'frozen', n), gradients(subject, 'ideal', n)
        assert frozen[''] == ideal['']
        assert frozen.keys() == ideal.keys()
        prefix = [name for names in subject.thawed().names[:n] for name in names]
        assert not any(f'{name}.'.startswith(f'{p}.') for name in frozen for p in prefix)
        if make is None:  # BatchNorm's statistics move on in the first of the two
            for name in frozen.keys() - {''}:
                torch.testing.assert_close(frozen[name], ideal[name])
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in subject.model.modules())
    assert torch.is_grad_enabled()


def test_every_iteration_finds_the_same_weights(subject):
    before = copy.deepcopy(subject.model.state_dict())
    for kind in ('frozen', 'ideal'):
        with getattr(subject, kind)(2, lambda wrapper: None) as iterate:
            iterate()
            iterate()
    assert all(torch.equal(before[name], value)
               for name, value in subject.model.state_dict().items())


def test_costs_of_frozen_layers(subject):
    costs = {n: _fixed_costs(subject, n) for n in (0, 1, 4)}
    params = {n: sum(map(subject.thawed().numel, range(n))) for n in costs}
    total = sum(p.numel() for p in subject.model.parameters())
    for n, cost in costs.items():
        assert cost['reduced'] == 4 * (total - params[n])
        assert cost['flops']['forward'] == costs[0]['flops']['forward']
    # Block 0: patches once (no gradient of the images), the rest twice as in the forward pass.
    # 16 tokens of 2 images in windows of 2 x 2: linear layers, attention, relative positions.
    products = 2 * 16 * (12 * 32**2 + 2 * 4 * 32 + 2 * 2 * 32)
    patches = 2 * 16 * 3 * 256 * 32
    saved = costs[0]['flops']['backward'] - costs[1]['flops']['backward']
    assert saved == 2 * (2 * products + patches)
    assert costs[0]['memory'] > costs[1]['memory'] > costs[4]['memory'] > 0


def test_saved_bytes():
    model = torch.nn.Linear(8, 4)
    x = torch.randn(16, 8, requires_grad=True)
    saved = SavedBytes(model)
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        y = model(x)  # x, not the weight
        (y.exp() * x[:, :4]).sum()  # the exponential twice, x again
    assert saved.total == 4 * (16 * 8 + 16 * 4)


def test_the_runs_of_the_overhead(subject, monkeypatch):
    """With the hook and the signals, each where it belongs, on one optimizer."""
    runs = {}
    build = measure_overhead.__globals__['_run']
    monkeypatch.setitem(measure_overhead.__globals__, '_run', lambda subject, name, *args:
                        runs.setdefault(name, build(subject, name, *args)))
    overhead = measure_overhead(subject, repeats=2)
    assert overhead['plain']['median'] > 0 and {'hook', 'signals'} < overhead.keys()
    hooks = {name: [type(hook).__name__ for hook in run.hooks] for name, run in runs.items()}
    assert hooks == dict(plain=[], hook=['LayerFreezingHook'], signals=['LayerFreezingHook'])
    wrappers = {name: type(run.optim_wrapper).__name__ for name, run in runs.items()}
    assert wrappers == dict(plain='OptimWrapper', hook='FreezeOptimWrapper',
                            signals='FreezeOptimWrapper')
    assert len({id(run.optim_wrapper.optimizer) for run in runs.values()}) == 1
    assert runs['hook'].optim_wrapper.grad_signal is None
    assert runs['signals'].optim_wrapper.grad_signal.read() is not None
    assert runs['plain'].iter == runs['hook'].iter == runs['signals'].iter == 3


def test_measured_and_reported(subject, tmp_path):
    counts = measure_freezing(subject, [0, 4], repeats=1)
    spread = dict(median=2., lower=1., upper=3.)
    overhead = dict(plain=spread, hook=spread, signals=dict(spread, median=2.5))
    for count in counts:
        phases = sum(count[phase] for phase in ('forward', 'backward', 'step'))
        measured = count['iteration']
        assert phases == pytest.approx(measured['median'])  # of two samples a median is a mean
        assert 0 < measured['lower'] <= measured['median'] <= measured['upper']
        assert count['efficiency']['median'] > 0 and count['ideal']['median'] > 0
    result = dict(config='x.py', device='CPU', torch='2', amp=False, images=2, batch='noise',
                  load_seconds=None, repeats=1, num_layers=4, memory='saved for backward',
                  counts=counts, overhead=overhead)
    rows = [line for line in benchmark_table(result).splitlines() if line.startswith('| ')]
    assert [row.split()[1] for row in rows[1:]] == ['0', '4']
    assert '| 1.000 |' in rows[1] and len({row.count('|') for row in rows}) == 1
    assert f'{counts[1]["efficiency"]["median"]:.3f} [' in rows[2]
    assert overhead_table(result).splitlines()[-1].endswith('| 2.50 [1.00, 3.00] |')
    plot_benchmark(result, tmp_path / 'new/x.png')
    assert (tmp_path / 'new/x.png').stat().st_size > 10000


def test_stopwatch_has_the_three_phases(subject):
    watch = Stopwatch(CPU)
    with subject.frozen(0, watch.watch) as iterate:
        watch.start()
        iterate()
        times = watch.stop()
    assert list(times) == ['forward', 'backward', 'step', 'iteration']
    assert times['iteration'] == pytest.approx(sum(list(times.values())[:3]))
    assert min(times.values()) > 0


def test_unknown_wrapper_is_refused(tmp_path):
    cfg = vitdet(tmp_path)
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        Subject(cfg, None, CPU)


@pytest.mark.cuda
def test_on_cuda_with_mixed_precision(tmp_path):
    cfg = vitdet(tmp_path)
    cfg.optim_wrapper.update(type='AmpFreezeOptimWrapper', dtype='bfloat16')
    subject = Subject(cfg, training_batch(cfg, 2).data, torch.device('cuda'))
    assert type(subject.wrapper(freezing=False)) is AmpOptimWrapper
    counts = measure_freezing(subject, [0, 4], repeats=1)
    assert counts[0]['memory'] > counts[1]['memory']
    assert counts[0]['flops']['backward'] > counts[1]['flops']['backward'] > 0
    assert measure_overhead(subject, repeats=1)['plain']['median'] > 0

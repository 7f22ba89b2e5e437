"""Layers that Learn&Drop dropped cost nothing in training, and are all there when it is tested."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing.cost import count_flops, layer_costs
from mmfreeze.freezing.saving import iteration_flops, terminal_forward_reduction

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'classification'
BATCH = 4


class Watch(Hook):
    """Notes in each iteration which layers are called, and the FLOPs forward and in all."""
    priority = 'LOWEST'

    def before_train(self, runner):
        self.called, self.flops, self.training = [], [], False
        modules = dict(runner.model.named_modules())
        self.stack = build_stack(runner.model)
        for layer, names in enumerate(self.stack.names):
            for name in names:
                for inner in modules[name].modules():
                    inner.register_forward_pre_hook(lambda *_, layer=layer: self._note(layer))
        backward = runner.optim_wrapper.backward

        def watched(loss):
            self.flops[-1].append(self.counter.get_total_flops())
            backward(loss)

        runner.optim_wrapper.backward = watched

    def _note(self, layer):
        if self.training:
            self.called[-1].add(layer)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.called.append(set())
        self.flops.append([])
        self.training, self.counter = True, count_flops()
        self.counter.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.counter.__exit__(None, None, None)
        self.flops[-1].append(self.counter.get_total_flops())
        self.training = False


class Compare(Hook):
    """Classifies the training set at the end, with the whole network and from the store."""
    priority = 'VERY_HIGH'  # before the store is given back

    @torch.no_grad()
    def after_train(self, runner):
        store = next(hook.store for hook in runner.hooks if hasattr(hook, 'store'))
        model = runner.model.eval()
        self.scores, self.labels = [], []
        for batch in runner.train_dataloader:
            whole = model.test_step(batch)
            store.before_iter(batch)
            try:
                stored = model.test_step(batch)
            finally:
                store.after_iter()
            self.scores += [(a.pred_score, b.pred_score) for a, b in zip(whole, stored)]
            self.labels += [sample.gt_label.item() for sample in batch['data_samples']]


@pytest.fixture
def npz(tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (20, 32, 32, 3), np.uint8)
    labels = np.arange(20) % 10
    np.savez(tmp_path / 'images.npz', x_train=images[:8], y_train=labels[:8], x_test=images[8:],
             y_test=labels[8:])
    return str(tmp_path / 'images.npz')


def build(name, npz, work_dir, policy):
    cfg = Config.fromfile(CONFIGS / f'{name}_learndrop_cifar10.py')
    cfg.merge_from_dict({
        'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2, 'log_level': 'WARNING',
        'train_dataloader.batch_size': BATCH, 'train_dataloader.dataset.ann_file': npz,
        'val_dataloader.batch_size': BATCH, 'val_dataloader.dataset.ann_file': npz,
        'model.data_preprocessor': cfg.data_preprocessor})
    cfg.custom_hooks[0].policy = policy
    cfg.custom_hooks += [dict(type=Watch), dict(type=Compare)]
    cfg.update(work_dir=str(work_dir), experiment_name=f'{name}_{Path(work_dir).name}')
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize('name, num_layers, dropped', [('vgg11', 8, 4), ('resnet50', 16, 5)])
def test_the_forward_pass_of_dropped_layers_is_gone(name, num_layers, dropped, npz, tmp_path):
    runner = build(name, npz, tmp_path / 'run', dict(type='StaticFreezing', num_frozen=dropped))
    watch, compare = (next(hook for hook in runner.hooks if isinstance(hook, kind))
                      for kind in (Watch, Compare))
    batch = dict(inputs=torch.zeros(BATCH, 3, 32, 32), data_samples=next(
        iter(runner.build_dataloader(runner.cfg.train_dataloader)))['data_samples'])
    stack = build_stack(runner.model)
    costs = layer_costs(stack, runner.model, lambda: runner.model.loss(**batch)['loss'])
    assert len(stack) == num_layers

    runner.train()
    assert watch.called == [set(range(dropped, num_layers))] * 4
    forward = sum(costs.forward[dropped:]) + costs.rest_forward
    assert watch.flops == [[forward, iteration_flops(costs, dropped, stored=True)]] * 4
    whole = sum(costs.forward) + costs.rest_forward
    assert 1 - forward / whole == pytest.approx(terminal_forward_reduction(costs, dropped))
    assert forward < .8 * whole

    accuracies = [sum(scores[i].argmax().item() == label for scores, label
                      in zip(compare.scores, compare.labels)) / 8 for i in (0, 1)]
    assert accuracies[0] == accuracies[1]
    for scores in compare.scores:
        torch.testing.assert_close(*scores)
    record = json.loads((tmp_path / 'run' / 'freezing_timeline.json').read_text())
    assert [(f['from_layer'], f['to_layer'], f['samples']) for f in record['fills']] == [
        (0, dropped, 8)]

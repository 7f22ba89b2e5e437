"""Runs on pictures with boxes, each shown in one of several views."""
import mmcv
import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from store_runs import ConvNet, Model, build, run

from mmfreeze.models.data_preprocessors import StoredViewsPreprocessor

__all__ = ['Compare', 'Pictures', 'ViewModel', 'build', 'options', 'run']


class ViewModel(Model):
    """Its targets come from the boxes."""

    def __init__(self, backbone=ConvNet):
        super().__init__(backbone)
        self.data_preprocessor = StoredViewsPreprocessor(mean=[100.] * 3, std=[50.] * 3)

    def forward(self, inputs, data_samples, mode='tensor'):
        for sample in data_samples:
            boxes = sample.gt_instances.bboxes
            sample.set_metainfo(dict(target=boxes.sum().item() / 50 + len(boxes)))
        return super().forward(inputs, data_samples, mode)


class Pictures(BaseDataset):
    """Small noisy pictures, drawn into a folder when they are first asked for."""
    read = 0

    def __init__(self, folder, first=0, count=12, **kwargs):
        self._folder, self._numbers = folder, range(first, first + count)
        super().__init__(**kwargs)

    def load_data_list(self):
        return [self._draw(number) for number in self._numbers]

    def _draw(self, number):
        generator = np.random.default_rng(number)
        height, width = generator.integers(10, 24, 2).tolist()
        path = self._folder / f'{number}_{height}x{width}.png'
        pixels = generator.integers(0, 255, (height, width, 3), np.uint8)
        if not path.is_file():
            mmcv.imwrite(pixels, str(path))
        boxes = np.sort(generator.random((2, 2, 2)), 1).reshape(2, 4) * ([width, height] * 2)
        return dict(img_path=str(path), img_id=number, height=height, width=width, instances=[
            dict(bbox=box.tolist(), bbox_label=0, ignore_flag=0) for box in boxes])


class Compare(Hook):
    """Compares what is replayed with what the images give, and notes what was read."""
    priority = 'LOW'  # behind the hook that exchanges modules

    def __init__(self):
        self.compared = self.bare = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        store = next(hook.store for hook in runner.hooks if getattr(hook, 'store', None))
        replaying = [module.features for module in runner.model.modules()
                     if getattr(module, 'features', None) is not None]
        if not replaying:
            return
        features = store._features
        self.bare += not isinstance(data_batch['inputs'], list)
        keys = features.keys(data_batch)
        store.after_iter()  # the model whole, for a moment
        batch = features.load((keys + keys[-1:] * features.batch_size)[:features.batch_size])
        computed = features.from_batch(batch, store._chain)
        again = store._generation.as_computed(store._generation.store.get(keys), 'cpu')
        store._replay.enter_context(store._generation.cut.replay(again))
        assert len(replaying) == len(computed)
        for ours, theirs in zip(replaying, computed):
            assert torch.equal(ours, theirs[:len(ours)])
        self.compared += 1


def options(folder, *, views=4, count=12, backbone=ConvNet, loading='LoadImageUnlessStored',
            **others):
    """Arguments for ``run`` and ``build``."""
    folder.mkdir(exist_ok=True)
    pipeline = [dict(type=loading), dict(type='LoadAnnotations', with_bbox=True),
                dict(type='ReplayableViews', size=(16, 16), num_views=views),
                dict(type='PackDetInputs')]
    return dict(others, model=ViewModel(backbone), dataset=dict(
        type=Pictures, folder=folder, count=count, pipeline=pipeline), val_dataset=dict(
        type=Pictures, folder=folder, first=100, count=4,
        pipeline=[*pipeline[:2], dict(pipeline[2], num_views=1), pipeline[3]]))

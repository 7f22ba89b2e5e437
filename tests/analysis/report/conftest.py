"""Runs written by hand."""
import json

import pytest
from mmengine.config import Config

from mmfreeze.analysis.runs import read_run


@pytest.fixture
def write_run(tmp_path):
    """Returns a function that writes the work dir of a run, and reads it.

    ``frozen`` and ``seconds`` are of each epoch; ``ap50`` (None: no validation) of the last one;
    other keywords are settings of the config, ``config=False`` leaves it out.
    """
    def write(name, policy='NoFreezing', frozen=(0, 0, 0, 0), seconds=(2., 2., 2., 2.), ap50=.75,
              planned=4, seed=0, config=True, **settings):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        epochs = [dict(epoch=number, num_frozen=n, train_seconds=s)
                  for number, (n, s) in enumerate(zip(frozen, seconds), 1)]
        validations = [] if ap50 is None else [
            dict(iteration=10 * len(epochs), epoch=len(epochs),
                 metrics={'coco/bbox_mAP': ap50 / 2, 'coco/bbox_mAP_50': ap50})]
        (folder / 'freezing_timeline.json').write_text(json.dumps(dict(
            policy=dict(type=policy), layers=[['a'], ['b'], ['c']], decisions=[], epochs=epochs,
            validations=validations, fills=[])))
        if config:
            Config(dict(
                custom_hooks=[dict(type='LayerFreezingHook', policy=dict(type=policy))],
                train_cfg=dict(max_epochs=planned), val_cfg=dict(), randomness=dict(seed=seed),
                model=dict(type='FasterRCNN', backbone=dict(type='ResNet')), work_dir=str(folder),
                train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(
                    type='ToyDataset', data_root='data/toy/'))), **settings)
            ).dump(folder / 'config.py')
        return read_run(folder)
    return write

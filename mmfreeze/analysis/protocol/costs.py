"""What the layers of a protocol's model cost, counted once."""
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from mmfreeze.analysis.benchmark.batch import training_batch
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.freezing.cost import LayerCosts, layer_costs
from mmfreeze.utils.configs import configured_layers
from mmfreeze.utils.files import write_text_atomic

from .part import config_text


@dataclass(frozen=True)
class TrainingCosts:
    """What a training's model and data come to.

    Args:
        layers (LayerCosts): FLOPs for one image.
        images (int): Images in an epoch.
    """
    layers: LayerCosts
    images: int


def training_costs(cfg: Config, folder: Path) -> TrainingCosts:
    """Reads the costs that were counted before for the same model and data, or counts them.

    A process of its own does so: what it takes must not show in the peak memory of the trainings,
    which inherit that of the process that starts them.

    Args:
        cfg (Config): The training.
        folder (Path): Where they are kept, as ``costs.json``.

    Returns:
        TrainingCosts: The costs.
    """
    text = config_text(Config(dict(model=cfg.model, data=cfg.train_dataloader,
                                   layers=configured_layers(cfg))))
    of = hashlib.sha256(text.encode()).hexdigest()
    path = folder / 'costs.json'
    if path.is_file():
        known = json.loads(path.read_text())
        if known.pop('of') == of:
            return TrainingCosts(LayerCosts(**known['layers']), known['images'])
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as process:
        costs = process.submit(count, cfg).result()
    write_text_atomic(path, json.dumps(dict(of=of, **asdict(costs)), indent=1))
    return costs


def count(cfg: Config) -> TrainingCosts:
    """Counts in this process; see :func:`training_costs`.

    Raises:
        ValueError: The layers' order is not known.
        FileNotFoundError: The data is absent.
        ImportError: A module of ``custom_imports`` is.
    """
    # MMEngine imports them where it reads a config's file, which was in another process.
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    MMLogger.get_instance('costs', log_level='WARNING')
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    images = len(DATASETS.build(cfg.train_dataloader['dataset']))
    model = MODELS.build(cfg.model).to(get_device()).train()
    stack = build_stack(model, configured_layers(cfg))
    data = model.data_preprocessor(training_batch(cfg, 1).data, True)
    # Compiled kernels would hide from the counter.
    with torch.compiler.set_stance('force_eager'):
        costs = layer_costs(stack, model,
                            lambda: model.parse_losses(model(**data, mode='loss'))[0])
    return TrainingCosts(costs, images)

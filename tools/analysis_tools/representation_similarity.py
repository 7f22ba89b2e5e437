"""Compares what each layer computes during a training with what it computes at the end.

Prints the linear CKA of every freezable layer between each checkpoint and the latest one, and from
when on it stays above a threshold. A run whose freezing is to be judged is named by --freezing.
Checkpoints of every epoch are kept in a training with
--cfg-options default_hooks.checkpoint.max_keep_ckpts=-1.

Example: python tools/analysis_tools/representation_similarity.py configs/vitdet_base_toy.py \\
    --checkpoints work_dirs/vitdet_base_toy/epoch_*.pth --freezing work_dirs/vitdet_afa_toy
"""
import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfreeze.analysis.similarity import (FEWEST_IMAGES, Freezing, Similarity, compare_layers,
                                          minibatches, read_checkpoints, require_same_model)
from mmfreeze.analysis.similarity.picture import plot_similarity
from mmfreeze.analysis.similarity.report import similarity_report
from mmfreeze.analysis.timeline import RunRecord, read_timeline
from mmfreeze.engine.layer_orders import build_stack
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors, require_checkpoint
from mmfreeze.utils.configs import configured_layers
from mmfreeze.utils.files import write_texts_atomic


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('--checkpoints', nargs='+', type=Path, required=True, metavar='FILE',
                        help='checkpoints of a run, in any order; the latest is the final model')
    parser.add_argument('--freezing', metavar='WORK_DIR',
                        help='work dir of the run whose freezing is judged, of the same layers '
                        '(default: the run of the checkpoints themselves)')
    parser.add_argument('--images', type=int, default=256, metavar='N',
                        help='how many images of the validation set at most (default: 256)')
    parser.add_argument('--batch', type=int, default=32, metavar='N',
                        help='about how many of them pass the backbone together, as a minibatch '
                        '(default: 32)')
    parser.add_argument('--threshold', type=float, default=.9, metavar='CKA',
                        help='from which a layer counts as settled (default: 0.9)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for similarity.json, similarity.md and similarity.png '
                        '(default: work_dirs/similarity_<name of the config>)')
    args = parser.parse_args()
    args.out = args.out or Path('work_dirs', f'similarity_{Path(args.config).stem}')
    return args


def check(args: argparse.Namespace) -> None:
    """Refuses before anything is computed what cannot be done.

    Raises:
        ValueError: An option has a value that makes no sense, or --out is a file.
        FileNotFoundError: There is no such checkpoint.
    """
    for name in ('images', 'batch'):
        if getattr(args, name) < FEWEST_IMAGES:
            raise ValueError(f'--{name} must be at least {FEWEST_IMAGES}, but is '
                             f'{getattr(args, name)}: the estimator divides by n (n - 3)')
    if not 0 < args.threshold <= 1:
        raise ValueError(f'--threshold must be above 0 and at most 1, but is {args.threshold:g}')
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f'--out {args.out} is a file; give a folder')
    for path in args.checkpoints:
        require_checkpoint(str(path))


def compare(cfg: Config, args: argparse.Namespace) -> Similarity:
    """Reads, computes, and looks up when layers froze."""
    judged: Optional[RunRecord] = args.freezing and read_timeline(args.freezing)
    checkpoints = read_checkpoints(args.checkpoints)
    if cfg.get('data_preprocessor'):  # which MMEngine's runner puts into the model
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = MODELS.build(cfg.model)
    require_same_model(model, checkpoints)
    stack = build_stack(model, configured_layers(cfg))
    layers = [list(names) for names in stack.names]
    epochs = [checkpoint.epoch for checkpoint in checkpoints]
    # In an iteration loop all checkpoints are of the same epoch, and all decisions of epoch 0.
    inside = judged and any(d['iteration'] and not d['epoch'] for d in judged.decisions)
    unit = 'epoch' if len(set(epochs)) == len(epochs) and not inside else 'iteration'
    record = judged or checkpoints[-1].record()
    freezing = record and Freezing.of(record, unit, layers, own=judged is None)
    loader = minibatches(cfg, args.images, args.batch)
    cka = compare_layers(model.to(get_device()), stack, checkpoints, loader,
                         lambda line: print(line, flush=True))
    return Similarity(
        layers=layers, files=[checkpoint.path.name for checkpoint in checkpoints], unit=unit,
        times=[getattr(checkpoint, unit) for checkpoint in checkpoints],
        cka=[[None if value != value else value for value in row] for row in cka.tolist()],
        threshold=args.threshold, images=sum(map(len, loader.batch_sampler)),
        minibatches=len(loader.batch_sampler), freezing=freezing)


def main() -> None:
    args = parse_args()
    with one_line_errors():
        check(args)
        cfg = load_config(args.config, args.cfg_options)
        # Else every parameter's initialisation is a line on the terminal.
        MMLogger.get_instance('similarity', log_level='WARNING')
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        similarity = compare(cfg, args)
        title = f'{Path(args.config).name}, torch {torch.__version__}'
        if args.cfg_options:
            title += ', ' + ' '.join(f'{key}={value}' for key, value in args.cfg_options.items())
        report = similarity_report(title, similarity)
        print('', report, sep='\n', end='')
        settled = [similarity.settled(layer) for layer in range(len(similarity.layers))]
        write_texts_atomic({
            args.out / 'similarity.json': json.dumps(dict(
                asdict(similarity), config=Path(args.config).name, options=args.cfg_options,
                settled=[index if index is None else similarity.times[index]
                         for index in settled]), indent=1),
            args.out / 'similarity.md': report})
        plot_similarity(similarity, args.out / 'similarity.png')
        print(f'\nwritten: similarity.json, similarity.md and similarity.png in {args.out}')


if __name__ == '__main__':
    main()

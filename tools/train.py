"""Trains a detector or a classifier, with or without freezing.

Example: python tools/train.py configs/vitdet_afa_toy.py
"""
import argparse
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.analysis.tables import epoch_table
from mmfreeze.engine.exact import find_last_whole_checkpoint, require_whole_checkpoint
from mmfreeze.utils.cli import (add_run_arguments, config_parser, leaving_process_group,
                                load_run_config, one_line_errors)
from mmfreeze.utils.configs import enable_amp


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    add_run_arguments(parser)
    parser.add_argument('--amp', action='store_true',
                        help='automatic mixed precision; needs a CUDA device')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help="scale the learning rate to the total batch size, by the config's "
                        'auto_scale_lr.base_batch_size')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from this checkpoint; without a path (or with auto) from the '
                        'latest one in the work dir')
    return parser.parse_args()


def enable_auto_scale_lr(cfg: Config) -> None:
    """Switches the linear scaling of the learning rate on."""
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ValueError('--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in the '
                         'config: the total batch size that its lr is meant for')
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, resume: str) -> None:
    """Makes the run go on from a checkpoint, or from the latest whole one ('auto')."""
    if resume != 'auto':
        if '://' not in resume:
            require_whole_checkpoint(Path(resume))
        cfg.resume, cfg.load_from = True, resume
        return
    path, damaged = find_last_whole_checkpoint(Path(cfg.work_dir))
    for name in damaged:
        print(f'warning: {name} is damaged or truncated', file=sys.stderr)
    if path is not None:  # else the run begins, with the weights that the config may name
        cfg.resume, cfg.load_from = True, str(path)


def train(cfg: Config) -> None:
    """Trains; the runner is gone when it returns, see ``leaving_process_group``."""
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    runner.train()


def main() -> None:
    args = parse_args()
    with one_line_errors():
        cfg = load_run_config(args)
        if args.amp:
            enable_amp(cfg)
        if args.auto_scale_lr:
            enable_auto_scale_lr(cfg)
        if args.resume is not None:
            set_resume(cfg, args.resume)
    with one_line_errors(Path(cfg.work_dir)), leaving_process_group():
        train(cfg)
        timeline = Path(cfg.work_dir, 'freezing_timeline.json')
        if is_main_process() and timeline.is_file() and (run := read_timeline(timeline)).epochs:
            print(epoch_table(run))


if __name__ == '__main__':
    main()

"""Evaluates a checkpoint: AP, AP50, AP75, AR, and the same for each class.

Example: python tools/test.py configs/vitdet_afa_toy.py work_dirs/vitdet_afa_toy/epoch_26.pth
"""
import argparse
import os
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmdet.evaluation import DumpDetResults
from mmengine.config import DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfreeze.utils.cli import (leaving_process_group, load_config, one_line_errors,
                                require_checkpoint)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs and metrics '
                        '(default: work_dirs/<name of the config>)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the detections to this file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='job launcher (default: none)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help='set by some launchers')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    args = parse_args()
    with one_line_errors():
        cfg = load_config(args.config, args.cfg_options, args.work_dir)
        cfg.launcher = args.launcher
        require_checkpoint(args.checkpoint)
        if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
            raise ValueError(f'--out must be a .pkl file, but is {args.out}')
        cfg.load_from = args.checkpoint
        cfg.resume = False  # as the config that a resumed run leaves in its work dir has it
        evaluators = cfg.test_evaluator
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            if evaluator.type == 'CocoBoxMetric':
                evaluator.classwise = True
    with one_line_errors(Path(cfg.work_dir)), leaving_process_group():
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        if args.out is not None:
            runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
        runner.test()


if __name__ == '__main__':
    main()

"""Evaluates a checkpoint: AP, AP50, AP75 and AR, also for each class, or a classifier's accuracy.

Example: python tools/test.py configs/vitdet_afa_toy.py work_dirs/vitdet_afa_toy/epoch_26.pth
"""
import sys
from pathlib import Path
from typing import Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmdet.evaluation import DumpDetResults
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfreeze.utils.cli import (add_run_arguments, config_parser, leaving_process_group,
                                load_run_config, one_line_errors, require_checkpoint)
from mmfreeze.utils.configs import class_name


def test(cfg: Config, out: Optional[str]) -> None:
    """Tests; the runner is gone when it returns, see ``leaving_process_group``."""
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=out))
    runner.test()


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the predictions to this file')
    add_run_arguments(parser)
    args = parser.parse_args()
    with one_line_errors():
        cfg = load_run_config(args)
        require_checkpoint(args.checkpoint)
        if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
            raise ValueError(f'--out must be a .pkl file, but is {args.out}')
        cfg.load_from = args.checkpoint
        cfg.resume = False  # as the config that a resumed run leaves in its work dir has it
        evaluators = cfg.get('test_evaluator')
        if not evaluators:
            raise ValueError(f'{args.config} has no test_evaluator: add one, beside test_dataloader '
                             'and test_cfg')
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            if class_name(evaluator.type) in ('CocoBoxMetric', 'CocoMetric'):
                evaluator.classwise = True
    with one_line_errors(Path(cfg.work_dir)), leaving_process_group():
        test(cfg, args.out)


if __name__ == '__main__':
    main()

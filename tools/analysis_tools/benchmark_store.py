"""Measures what storing the features of frozen layers costs and saves on this machine.

Example: python tools/analysis_tools/benchmark_store.py configs/vitdet_afa-store_toy.py
"""
import argparse
import json
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmengine.runner import Runner

from mmfreeze.analysis.benchmark.store import measure_storing, storing_table
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors, require_checkpoint
from mmfreeze.utils.configs import configured_layers
from mmfreeze.utils.files import write_text_atomic


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('--frozen', nargs='+', type=int, metavar='N',
                        help='numbers of frozen layers to store behind (default: half and all)')
    parser.add_argument('--checkpoint', metavar='FILE',
                        help="weights to measure errors with (default: the config's start weights)")
    parser.add_argument('--out', metavar='DIR',
                        help='folder for store.json (default: '
                        'work_dirs/store_<name of the config>)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with one_line_errors():
        # A folder of its own, for MMEngine's runner writes the changed config into it.
        out = args.out or str(Path('work_dirs', f'store_{Path(args.config).stem}'))
        cfg = load_config(args.config, args.cfg_options, out)
        if args.checkpoint is not None:
            require_checkpoint(args.checkpoint)
            cfg.load_from = args.checkpoint
        layers = configured_layers(cfg)
        # Nothing is trained or decided here.
        cfg.update(custom_hooks=[], log_level='WARNING', resume=False)
        runner = Runner.from_cfg(cfg)
        # What Runner.train does before its loop runs.
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner._init_model_weights()
        runner.load_or_resume()
        result = dict(config=Path(args.config).name, options=args.cfg_options,
                      **measure_storing(runner, args.frozen, layers))
        print(storing_table(result))
        written = Path(out, 'store.json')
        write_text_atomic(written, json.dumps(result, indent=1))
        print(f'\nwritten: {written}')


if __name__ == '__main__':
    main()

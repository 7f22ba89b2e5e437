"""Says what freezing would save in a training, and where, before it begins.

Measures a few dozen iterations of it on this machine; nothing is trained, no run is touched.

Example: python tools/analysis_tools/plan_freezing.py configs/vitdet_afa_toy.py
"""
import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfreeze.analysis.planning import length_of, make_plan, planned_rows, rehearse
from mmfreeze.analysis.planning.picture import plot_plan
from mmfreeze.analysis.planning.report import plan_as_dict, plan_report
from mmfreeze.analysis.planning.rows import KNOWN
from mmfreeze.analysis.protocol import device, with_epochs
from mmfreeze.analysis.protocol.refusals import require_freezable
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors
from mmfreeze.utils.files import write_text_atomic


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('--policy', nargs='+', metavar='NAME',
                        help='what to plan beside what the config itself freezes: '
                        f'{", ".join(KNOWN)} (default: all that suit the config)')
    parser.add_argument('--epochs', type=int, metavar='N',
                        help="length of the training (default: the config's)")
    parser.add_argument('--out', metavar='DIR', help='folder for plan.md, plan.json and plan.png '
                        '(default: work_dirs/plan_<name of the config>)')
    return parser.parse_args()


def plan(cfg: Config, args: argparse.Namespace, out: Path) -> None:
    """Measures, predicts, and writes what was found."""
    require_freezable(cfg)
    rows, _ = planned_rows(cfg, args.policy, num_layers=1)  # mistakes show at once
    store = next((row.store for row in rows if row.store is not None), {})
    with TemporaryDirectory(prefix='plan_') as scratch:
        rehearsal = rehearse(cfg, scratch, store, lambda line: print(line, flush=True))
    measured = rehearsal.measured
    rows, unsuited = planned_rows(cfg, args.policy, measured.num_layers)
    length = length_of(cfg, rehearsal.samples, rehearsal.iterations, measured.batch_size)
    result = make_plan(measured, length, rows, unsuited, rehearsal.no_store)
    title = f'{Path(args.config).name}, {device()}, torch {torch.__version__}'
    if args.cfg_options:
        title += ', ' + ' '.join(f'{key}={value}' for key, value in args.cfg_options.items())
    text = plan_report(title, result, rehearsal)
    print('', text, sep='\n', end='')
    write_text_atomic(out / 'plan.md', text)
    write_text_atomic(out / 'plan.json',
                      json.dumps(dict(title=title, **plan_as_dict(result, rehearsal)), indent=1))
    plot_plan(result, title, out / 'plan.png')
    print(f'\nwritten: plan.md, plan.json and plan.png in {out}')


def main() -> None:
    args = parse_args()
    with one_line_errors():
        out = Path(args.out or Path('work_dirs', f'plan_{Path(args.config).stem}'))
        if out.exists() and not out.is_dir():
            raise ValueError(f'--out {out} is a file: name a folder')
        cfg = load_config(args.config, args.cfg_options)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        if args.epochs is not None:
            if args.epochs < 1:
                raise ValueError(f'--epochs must be at least 1, but is {args.epochs}')
            if cfg.train_cfg.get('max_epochs') is None:
                raise ValueError('--epochs: the config counts in iterations; set --cfg-options '
                                 'train_cfg.max_iters=N instead')
            cfg = with_epochs(cfg, args.epochs)
        plan(cfg, args, out)


if __name__ == '__main__':
    main()

"""Trains a config under several freezing policies and compares time, memory and quality.

Interleaved, every training in a process of its own, one at a time unless --jobs says otherwise.
What is finished is not trained again: the same command goes on wherever it was stopped.

Example: python tools/analysis_tools/speedup_protocol.py configs/vitdet_base_toy.py \\
    --policies base lfa afa geometric --seeds 3
"""
import argparse
import signal
import sys
from pathlib import Path
from typing import Tuple

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import torch

from mmfreeze.analysis.protocol import (POLICIES, Protocol, Trainer, device, make_rows,
                                        training_costs, with_epochs)
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors

TRAIN = Path(__file__).resolve().parents[1] / 'train.py'


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('--policies', nargs='+', default=list(POLICIES), metavar='NAME',
                        help=f'rows (default: all of {", ".join(POLICIES)}); base and frozen are '
                        'there in any case, base in the time of afa and of afa+store with these')
    parser.add_argument('--epochs', type=int, metavar='N',
                        help="length of each training, to which the learning rates' schedules are "
                        "fitted (default: the config's)")
    parser.add_argument('--seeds', type=int, default=3, metavar='N',
                        help='each row is trained with the seeds 0 to N - 1 (default: 3)')
    parser.add_argument('--jobs', type=int, default=1, metavar='N',
                        help='trainings at a time, on a CPU, with a share of its threads each '
                        '(default: 1)')
    parser.add_argument('--jittered', metavar='CONFIG',
                        help='one more row: an un-frozen config with the usual augmentation, where '
                        'that of the first config is restricted to stored views')
    parser.add_argument('--out', metavar='DIR', help='folder for everything (default: '
                        'work_dirs/protocol_<name of the config>)')
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Tuple[Protocol, Trainer]:
    """Reads the configs and makes the rows; nothing is trained yet."""
    out = Path(args.out or Path('work_dirs', f'protocol_{Path(args.config).stem}'))
    cfg, jittered = (path and load_config(path, args.cfg_options)
                     for path in (args.config, args.jittered))
    if args.epochs is not None:
        if args.epochs < 1:
            raise ValueError(f'--epochs must be at least 1, but is {args.epochs}')
        cfg, jittered = (of and with_epochs(of, args.epochs) for of in (cfg, jittered))
    make_rows(cfg, args.policies, 1, jittered)  # mistakes show before anything is computed
    if args.seeds < 1:
        raise ValueError(f'--seeds must be at least 1, but is {args.seeds}')
    trainer = Trainer(TRAIN, out, args.jobs)
    costs = training_costs(cfg, out)
    rows = make_rows(cfg, args.policies, len(costs.layers.forward), jittered)
    return Protocol(rows, args.seeds, out, costs), trainer


def main() -> None:
    args = parse_args()
    with one_line_errors():
        try:
            protocol, trainer = prepare(args)
            print(protocol.plan(), flush=True)
            protocol.run(trainer, lambda line: print(line, flush=True))
        except KeyboardInterrupt:
            print('interrupted; the same command goes on', file=sys.stderr)
            sys.exit(130)
        title = f'{Path(args.config).name}, {device(args.jobs)}, torch {torch.__version__}'
        if args.cfg_options:
            title += ', ' + ' '.join(f'{key}={value}' for key, value in args.cfg_options.items())
        print('', protocol.write_report(title), sep='\n', end='')
        print(f'\nwritten: protocol.md, protocol.json and protocol.png in {protocol.out}')


if __name__ == '__main__':
    # A batch system that ends the job must not leave a training behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()

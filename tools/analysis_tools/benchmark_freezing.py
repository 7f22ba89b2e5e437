"""Measures what an iteration of a config's training costs with layers frozen.

Example: python tools/analysis_tools/benchmark_freezing.py configs/vitdet_afa_toy.py
"""
import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional, Sequence

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfreeze.analysis.benchmark import Subject, measure_freezing, measure_overhead
from mmfreeze.analysis.benchmark.batch import training_batch
from mmfreeze.analysis.benchmark.report import benchmark_table, overhead_table
from mmfreeze.analysis.plots import plot_benchmark
from mmfreeze.utils.cli import config_parser, load_config, one_line_errors
from mmfreeze.utils.configs import configured_layers, enable_amp
from mmfreeze.utils.files import write_text_atomic


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.add_argument('--frozen', nargs='+', type=int, metavar='N',
                        help='numbers of frozen layers (default: quarters of all); 0 is always '
                        'measured, to compare with')
    parser.add_argument('--batch', type=int, metavar='N',
                        help="images in the batch (default: the config's batch_size)")
    parser.add_argument('--repeats', type=int, default=5, metavar='N',
                        help='rounds through all of it, two iterations of each (default: 5)')
    parser.add_argument('--amp', action='store_true',
                        help='automatic mixed precision; needs a CUDA device')
    parser.add_argument('--out', metavar='DIR',
                        help='folder for benchmark.json and benchmark.png (default: '
                        'work_dirs/benchmark_<name of the config>)')
    return parser.parse_args()


def frozen_counts(asked: Optional[Sequence[int]], num_layers: int) -> List[int]:
    """The numbers of frozen layers to measure, 0 among them.

    Raises:
        ValueError: One is out of range or there twice.
    """
    if asked is None:
        asked = [num_layers * quarter // 4 for quarter in range(1, 5)]
    elif len(set(asked)) < len(asked):
        raise ValueError(f'--frozen {" ".join(map(str, asked))} has a number twice')
    outside = [n for n in asked if not 0 <= n <= num_layers]
    if outside:
        raise ValueError(f'--frozen {outside[0]}: the backbone has {num_layers} freezable layers, '
                         f'so the numbers are 0 to {num_layers}')
    return sorted({0, *asked})


def require_positive(name: str, value: int) -> int:
    """Returns the value of an option, or raises ``ValueError`` if it is below 1."""
    if value < 1:
        raise ValueError(f'{name} must be at least 1, but is {value}')
    return value


def benchmark(cfg: Config, args: argparse.Namespace) -> dict:
    """Measures; all that the report needs, in plain types."""
    repeats = require_positive('--repeats', args.repeats)
    images = require_positive('--batch', cfg.train_dataloader.batch_size if args.batch is None
                              else args.batch)
    device = torch.device(get_device())
    batch = training_batch(cfg, images)
    subject = Subject(cfg, batch.data, device, configured_layers(cfg))
    num_layers = len(subject.thawed())
    counts = frozen_counts(args.frozen, num_layers)
    return dict(
        config=Path(args.config).name, options=args.cfg_options, amp=args.amp,
        device=torch.cuda.get_device_name() if device.type == 'cuda' else
        f'CPU, {torch.get_num_threads()} threads', torch=torch.__version__,
        images=images, batch=batch.source, load_seconds=batch.load_seconds, repeats=repeats,
        num_layers=num_layers, memory='peak' if device.type == 'cuda' else 'saved for backward',
        counts=measure_freezing(subject, counts, repeats),
        overhead=measure_overhead(subject, repeats))


def main() -> None:
    args = parse_args()
    with one_line_errors():
        out = Path(args.out or Path('work_dirs', f'benchmark_{Path(args.config).stem}'))
        cfg = load_config(args.config, args.cfg_options)
        # Else every parameter's initialisation is a line on the terminal.
        MMLogger.get_instance('benchmark', log_level='WARNING')
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        if args.amp:
            enable_amp(cfg)
        result = benchmark(cfg, args)
        print(benchmark_table(result), overhead_table(result), sep='\n\n')
        write_text_atomic(out / 'benchmark.json', json.dumps(result, indent=1))
        plot_benchmark(result, out / 'benchmark.png')
        print(f'\nwritten: {out / "benchmark.json"}, {out / "benchmark.png"}')


if __name__ == '__main__':
    main()

"""Measures the ViTDet backbone against segment-anything's encoder with the same weights.

Forward and backward pass with nothing frozen. Example:
python tools/analysis_tools/benchmark_vitdet.py --sizes 512 768 1024
"""
import argparse
import json
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

import torch
from mmengine.device import get_device

from mmfreeze.analysis.benchmark.encoders import measure_encoders
from mmfreeze.analysis.benchmark.report import encoder_table
from mmfreeze.utils.cli import one_line_errors
from mmfreeze.utils.files import write_text_atomic

# Number of channels and of heads.
ENCODERS = {'vit_t': (192, 3), 'vit_s': (384, 6), 'vit_b': (768, 12)}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--encoder', choices=list(ENCODERS), default='vit_t',
                        help='which one (default: vit_t)')
    parser.add_argument('--sizes', nargs='+', type=int, default=[512, 768, 1024], metavar='PIXELS',
                        help='sides of the square images (default: 512 768 1024)')
    parser.add_argument('--batch', type=int, default=1, metavar='N',
                        help='images in the batch (default: 1)')
    parser.add_argument('--repeats', type=int, default=5, metavar='N',
                        help='timed iterations of each encoder (default: 5)')
    parser.add_argument('--bfloat16', action='store_true', help='autocast to bfloat16')
    parser.add_argument('--out', metavar='FILE', default='work_dirs/benchmark/vitdet.json',
                        help='what was measured, as json (default: %(default)s)')
    return parser.parse_args()


def benchmark(args: argparse.Namespace) -> dict:
    """Measures; all that the report needs, in plain types."""
    for name, value in (('--batch', args.batch), ('--repeats', args.repeats)):
        if value < 1:
            raise ValueError(f'{name} must be at least 1, but is {value}')
    for size in args.sizes:
        if size < 16 or size % 16:
            raise ValueError(f'--sizes {size} is not a multiple of 16, the patch size')
    device = torch.device(get_device())
    sizes = measure_encoders(args.sizes, *ENCODERS[args.encoder], args.batch, args.repeats, device,
                             args.bfloat16)
    return dict(
        encoder=args.encoder, dtype='bfloat16' if args.bfloat16 else 'float32',
        device=torch.cuda.get_device_name() if device.type == 'cuda' else
        f'CPU, {torch.get_num_threads()} threads', torch=torch.__version__, images=args.batch,
        repeats=args.repeats, memory='peak' if device.type == 'cuda' else 'saved for backward',
        sizes=sizes)


def main() -> None:
    args = parse_args()
    with one_line_errors():
        result = benchmark(args)
        print(encoder_table(result))
        write_text_atomic(Path(args.out), json.dumps(result, indent=1))
        print(f'\nwritten: {args.out}')


if __name__ == '__main__':
    main()

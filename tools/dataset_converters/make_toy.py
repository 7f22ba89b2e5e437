"""Draws the toy set and converts it: python make_toy.py --out data/toy"""
import argparse
import sys
from pathlib import Path
from typing import List, Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.datasets.conversion import ConversionError
from mmfreeze.datasets.toy import generate_toy


def main(argv: Optional[List[str]] = None) -> int:
    """Draws and converts, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description='Draws the toy set in DIOR\'s layout and converts it to COCO json.')
    parser.add_argument('--out', type=Path, required=True, help='the folder to make')
    parser.add_argument('--seed', type=int, default=0, help='(%(default)s)')
    parser.add_argument('--train', type=int, default=280, help='images in trainval (%(default)s)')
    parser.add_argument('--test', type=int, default=60, help='images in test (%(default)s)')
    parser.add_argument('--size', type=int, default=160, help='side in pixels (%(default)s)')
    args = parser.parse_args(argv)
    try:
        report = generate_toy(args.out, args.train, args.test, args.size, args.seed)
    except (ConversionError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{args.out}: {report.summary()}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Converts SIMD, in its own layout, to COCO json: python simd.py data/simd"""
import sys
from functools import partial
from typing import List, Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.datasets import SIMDDataset
from mmfreeze.datasets.conversion import SIMDReader, conversion_parser, run_conversion


def main(argv: Optional[List[str]] = None) -> int:
    """Converts, and returns the exit status."""
    args = conversion_parser('Converts SIMD, in its own layout, to COCO json.').parse_args(argv)
    return run_conversion(partial(SIMDReader, args.root, SIMDDataset.METAINFO['classes']), args)


if __name__ == '__main__':
    sys.exit(main())

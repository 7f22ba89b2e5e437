"""Converts RSOD, in its own layout, to COCO json: python rsod.py data/rsod"""
import sys
from functools import partial
from typing import List, Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.datasets import RSODDataset
from mmfreeze.datasets.conversion import (RSODReader, add_seed_option, conversion_parser,
                                          run_conversion)


def main(argv: Optional[List[str]] = None) -> int:
    """Converts, and returns the exit status."""
    parser = conversion_parser('Converts RSOD, in its own layout, to COCO json.')
    add_seed_option(parser)
    args = parser.parse_args(argv)
    reader = partial(RSODReader, args.root, RSODDataset.METAINFO['classes'], args.seed)
    return run_conversion(reader, args)


if __name__ == '__main__':
    sys.exit(main())

"""Converts NWPU VHR-10, in its own layout, to COCO json: python nwpu.py data/nwpu_vhr10"""
import sys
from functools import partial
from typing import List, Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.datasets import NWPUVHR10Dataset
from mmfreeze.datasets.conversion import NWPUVHR10Reader, conversion_parser, run_conversion


def main(argv: Optional[List[str]] = None) -> int:
    """Converts, and returns the exit status."""
    args = conversion_parser('Converts NWPU VHR-10, in its own layout, to COCO json.').parse_args(
        argv)
    reader = partial(NWPUVHR10Reader, args.root, NWPUVHR10Dataset.METAINFO['classes'])
    return run_conversion(reader, args)


if __name__ == '__main__':
    sys.exit(main())

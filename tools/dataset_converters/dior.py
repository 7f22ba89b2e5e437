"""Converts DIOR, in its own layout, to COCO json: python dior.py data/dior"""
import sys
from functools import partial
from typing import List, Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.datasets import DIORDataset
from mmfreeze.datasets.conversion import DIORReader, conversion_parser, run_conversion


def main(argv: Optional[List[str]] = None) -> int:
    """Converts, and returns the exit status."""
    parser = conversion_parser('Converts DIOR, in its own layout, to COCO json.')
    parser.add_argument('--labels-only', action='store_true',
                        help='take the image sizes from the xml and look at no image')
    args = parser.parse_args(argv)
    reader = partial(DIORReader, args.root, DIORDataset.METAINFO['classes'], args.labels_only)
    return run_conversion(reader, args)


if __name__ == '__main__':
    sys.exit(main())

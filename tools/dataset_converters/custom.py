"""Converts any folder with VOC, YOLO or COCO labels: python custom.py data/mine"""
import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.datasets.conversion import (ConversionError, Reader, add_seed_option,
                                          conversion_parser, read_lines, run_conversion)
from mmfreeze.datasets.conversion.custom import FORMATS, config_text, open_folder

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def main(argv: Optional[List[str]] = None) -> int:
    """Converts, and returns the exit status."""
    parser = conversion_parser('Converts any folder with VOC xml, YOLO txt or COCO json labels.',
                               out='converted')
    parser.add_argument('--format', choices=tuple(FORMATS),
                        help='the format of the labels (recognised)')
    parser.add_argument('--classes', nargs='+', metavar='NAME',
                        help='the class names in order, or a file with one per line (VOC and COCO: '
                        'those of the labels, sorted; YOLO: classes.txt or obj.names)')
    parser.add_argument('--lists', type=Path, metavar='FOLDER',
                        help='where train.txt and val.txt or test.txt are, with one image per line '
                        '(looked for in the root and in ImageSets)')
    parser.add_argument('--write-config', type=Path, metavar='PATH',
                        help='write a config for training, such as configs/mine.py')
    add_seed_option(parser)
    args = parser.parse_args(argv)
    return run_conversion(partial(_open, args), args, partial(_config, args))


def _open(args: argparse.Namespace) -> Reader:
    if args.write_config and args.write_config.exists():
        raise ConversionError(f'{args.write_config}: exists already; remove it or name another')
    classes = args.classes
    if classes and len(classes) == 1 and Path(classes[0]).is_file():
        classes = read_lines(Path(classes[0]), 'class names')
    return open_folder(args.root, args.out, args.format, classes, args.lists, args.seed)


def _config(args: argparse.Namespace, reader: Reader) -> Dict[Path, str]:
    if not args.write_config:
        return {}
    return {args.write_config: config_text(reader, args.write_config, args.out, CONFIGS)}


if __name__ == '__main__':
    sys.exit(main())

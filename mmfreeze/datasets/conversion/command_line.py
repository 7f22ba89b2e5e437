"""What the converters' command lines have in common."""
import argparse
import sys
from pathlib import Path
from typing import Callable, Mapping

from .convert import REPORT_NAME, convert
from .record import ConversionError, Reader


def conversion_parser(description: str, out: str = 'annotations') -> argparse.ArgumentParser:
    """Returns a parser with the options that every converter has.

    Args:
        description: What the program does.
        out: The folder below the root that takes the json unless ``--out`` names another.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('root', type=Path, help='the folder of the data set')
    parser.add_argument('--out', type=Path, help=f'the folder for the json (<root>/{out})')
    parser.set_defaults(default_out=out)
    parser.add_argument(
        '--on-error', choices=('fail', 'skip'), default='fail',
        help='what to do about files that are missing or cannot be used: report all of them and '
        'write nothing, or leave those images out (%(default)s)')
    parser.add_argument(
        '--on-defect', choices=('clip', 'reject'), default='clip',
        help='what to do about boxes that leave their image or have no area: clip, and drop what '
        'has nothing left, or treat the file as one that cannot be used (%(default)s)')
    parser.add_argument(
        '--check-images', action='store_true',
        help='decode every image in full; without it their sizes and ends are looked at')
    return parser


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option of sets without an official split."""
    parser.add_argument('--seed', type=int, default=0,
                        help='what the split into train and test is drawn from (%(default)s)')


def run_conversion(make_reader: Callable[[], Reader], args: argparse.Namespace,
                   also: Callable[[Reader], Mapping[Path, str]] = lambda reader: {}) -> int:
    """Converts, tells what came of it, and returns the exit status.

    Args:
        make_reader: Opens the data set; it may raise :class:`ConversionError`.
        args: The options of :func:`conversion_parser`.
        also: Returns the texts of further files to write, by their paths.
    """
    out_dir = args.out = args.out or args.root / args.default_out
    try:
        if not args.root.is_dir():
            raise ConversionError(f'{args.root}: no such folder; name that of the data set')
        try:
            reader = make_reader()
        except OSError as error:
            raise ConversionError(f'{args.root}: cannot be read ({error})') from error
        report = convert(reader, out_dir, args.on_error, args.on_defect, args.check_images,
                         also(reader))
    except ConversionError as error:
        print(f'{error}\nnothing was written', file=sys.stderr)
        return 1
    except OSError as error:
        print(f'{out_dir}: cannot be written ({error}); the old files, if any, are untouched',
              file=sys.stderr)
        return 1
    print(f'{out_dir}: {report.summary()}')
    print(f'  details: {out_dir / REPORT_NAME}')
    return 0

"""Writes one HTML page about runs: summary, tables, plots, detections, settings, environment.

The others are compared with the first run, or seed by seed with those that share its config.

Example: python tools/analysis_tools/report.py work_dirs/vitdet_{base,afa}_toy --out report.html
"""
import argparse
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.analysis.report import report_page
from mmfreeze.analysis.runs import read_runs
from mmfreeze.utils.cli import one_line_errors
from mmfreeze.utils.files import write_text_atomic


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dirs of runs')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.html',
                        help='page to write; it needs no other file and no network')
    parser.add_argument('--images', type=int, default=4, metavar='N',
                        help='images of the validation set to show detections in (default: 4)')
    parser.add_argument('--title', help="title of the page (default: the first run's name, and "
                        'which or how many other configs there are)')
    args = parser.parse_args()
    with one_line_errors():
        # No file of a run is called so: none can be overwritten.
        if args.out.suffix != '.html':
            raise ValueError(f'--out {args.out}: the name of the page has to end in .html')
        if args.images < 0:
            raise ValueError(f'--images must be 0 or more, but is {args.images}')
        page = report_page(read_runs(args.work_dirs), args.images, args.title)
        write_text_atomic(args.out, page)
        print(f'written: {args.out} ({len(page.encode()) / 1e6:.1f} MB)')


if __name__ == '__main__':
    main()

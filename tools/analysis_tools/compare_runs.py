"""Prints runs side by side as a markdown table; speed-ups are against the first one.

Example: python tools/analysis_tools/compare_runs.py work_dirs/vitdet_{base,lfa,afa}_toy
"""
import argparse
import sys

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.analysis.tables import comparison_table
from mmfreeze.analysis.timeline import read_timeline
from mmfreeze.utils.cli import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dirs of runs')
    args = parser.parse_args()
    with one_line_errors():
        print(comparison_table([read_timeline(work_dir) for work_dir in args.work_dirs]))


if __name__ == '__main__':
    main()

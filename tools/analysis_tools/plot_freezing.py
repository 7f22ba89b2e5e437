"""Draws which layers were frozen when, and what the policy saw before each decision.

Example: python tools/analysis_tools/plot_freezing.py work_dirs/vitdet_{base,lfa,afa}_toy \\
    --out freezing.png
"""
import argparse
import sys
from pathlib import Path

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.analysis.plots import freezing_figure, save_figure
from mmfreeze.analysis.runs import read_runs, require_free
from mmfreeze.utils.cli import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dirs of runs')
    parser.add_argument('--out', required=True, metavar='FILE',
                        help='picture to write (png, svg, pdf)')
    args = parser.parse_args()
    with one_line_errors():
        runs = read_runs(args.work_dirs)
        require_free(Path(args.out), runs)
        save_figure(freezing_figure(runs), args.out)


if __name__ == '__main__':
    main()

"""Compares runs, finished or not: a markdown table, and with --out curves over wall clock.

Example: python tools/analysis_tools/compare_runs.py work_dirs/vitdet_{base,lfa,afa}_toy
"""
import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Sequence

try:
    import mmfreeze  # noqa: F401, first, for it says what to install where the stack is not whole
except (ImportError, RuntimeError) as error:
    sys.exit(f'error: {error}')

from mmfreeze.analysis.plots import curves_figure, save_figure
from mmfreeze.analysis.runs import Run, read_runs, require_free
from mmfreeze.analysis.tables import comparison, comparison_table
from mmfreeze.utils.cli import one_line_errors
from mmfreeze.utils.files import write_texts_atomic


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR',
                        help='work dirs of runs; the others are compared with the first one, or '
                        'seed by seed with those that share its config')
    parser.add_argument('--out', metavar='DIR',
                        help='folder for comparison.md, comparison.json and comparison.png '
                        '(default: none, the table is printed only)')
    return parser.parse_args()


def write(runs: Sequence[Run], result: Dict[str, Any], table: str, out: Path) -> None:
    """Writes table, numbers and curves into a folder."""
    if out.is_file():
        raise ValueError(f'--out {out} is a file: give a folder')
    markdown, numbers, curves = (out / f'comparison.{kind}' for kind in ('md', 'json', 'png'))
    for path in (markdown, numbers, curves):
        require_free(path, runs)
    save_figure(curves_figure(runs), curves)
    write_texts_atomic({markdown: table + '\n', numbers: json.dumps(result, indent=1)})
    print(f'\nwritten: {markdown.name}, {numbers.name} and {curves.name} in {out}')


def main() -> None:
    args = parse_args()
    with one_line_errors():
        runs = read_runs(args.work_dirs)
        result = comparison(runs)
        table = comparison_table(result)
        print(table)
        if args.out is not None:
            write(runs, result, table, Path(args.out))


if __name__ == '__main__':
    main()

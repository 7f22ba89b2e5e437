"""Tables in markdown."""
from typing import List, Sequence


def table_head(left: Sequence[str], right: Sequence[str]) -> List[str]:
    """The first two lines of a table, of columns that are aligned left and right."""
    return [table_line([*left, *right]), '|' + '---|' * len(left) + '--:|' * len(right)]


def table_line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'

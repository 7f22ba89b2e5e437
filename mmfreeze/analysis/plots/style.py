"""What the pictures have in common: colours, and how they are written."""
from io import BytesIO
from pathlib import Path
from typing import Union

from matplotlib.figure import Figure

from mmfreeze.utils.files import write_bytes_atomic

# Blue and light grey differ in lightness too, so that colour vision does not matter.
TRAINED, FROZEN = '#1f5fa8', '#d5d9de'
# Okabe and Ito's colours, which all kinds of colour vision tell apart, but for yellow, which is
# too light for lines. Where they run out, the style of the line differs.
COLOURS = ('#000000', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00')
MARKERS = 'osD^vPX*<>h'


def line_style(number: int) -> dict:
    """Arguments of a line that is told apart from those of other numbers (from 0)."""
    return dict(color=COLOURS[number % len(COLOURS)],
                linestyle='-' if number < len(COLOURS) else '--', linewidth=1.2)


def marker_style(number: int) -> dict:
    """Likewise of the markers on it."""
    return dict(marker=MARKERS[number % len(MARKERS)], markersize=4)


def plain(text: str) -> str:
    """A text of somebody's own, in which matplotlib is to see no formula."""
    return text.replace('$', r'\$')


def save_figure(figure: Figure, path: Union[str, Path]) -> None:
    """Writes a figure, in full or not at all.

    Args:
        figure (Figure): The figure.
        path (str | Path): The picture; its suffix says the format. Missing folders are made.

    Raises:
        ValueError: Pictures of this format cannot be written.
    """
    kind = Path(path).suffix[1:].lower()
    known = sorted(figure.canvas.get_supported_filetypes())
    if kind not in known:
        raise ValueError(f'{path}: the name of a picture ends in .{", .".join(known)}')
    content = BytesIO()
    figure.savefig(content, format=kind, dpi=130)
    write_bytes_atomic(path, content.getvalue())

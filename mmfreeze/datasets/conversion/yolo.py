"""YOLO's text labels: ``class cx cy width height`` per line, as fractions of the image."""
from pathlib import Path
from typing import List, Sequence

from .reading import numbered_lines, parse_number
from .record import Box, LabelError

# Six digits after the point tell 0.01 px apart up to images of 10,000 px. Finer digits are those
# of the fractions' own rounding; they put boxes at the border outside by 0.0005 px.
DIGITS = 2


def read_yolo(root: Path, label: str, classes: Sequence[str], width: int, height: int
              ) -> List[Box]:
    """Reads the boxes of one image; blank lines are skipped.

    Args:
        root: The folder of the data set.
        label: The label file's path below it.
        classes: The class names in the order of their numbers, which start at 0.
        width: The image's width in pixels.
        height: The image's height in pixels.

    Raises:
        LabelError: If the file cannot be read, a line is something else, or its class has no name.
    """
    boxes = []
    for where, line in numbered_lines(root, label):
        fields = line.split()
        try:
            category, *listed = map(parse_number, fields)
            cx, cy, w, h = listed
        except ValueError:
            raise LabelError(f'{where}: expected class cx cy width height, '
                             f'not {line[:80]!r}') from None
        if category not in range(len(classes)):
            raise LabelError(f'{where}: class {category} is not one of 0 to {len(classes) - 1}')
        if max(map(abs, listed)) > 2:
            raise LabelError(f'{where}: {fields[1:]} are no fractions of the image; '
                             'divide pixels by its width and height')
        corners = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width,
                   (cy + h / 2) * height)
        boxes.append(Box(classes[category], tuple(round(c, DIGITS) for c in corners),
                         tuple(listed)))
    return boxes

"""YOLO's text labels: ``class cx cy width height`` per line, as fractions of the image."""
from typing import List, Sequence

from .reading import parse_number
from .record import Box, LabelError

# Six digits after the point tell 0.01 px apart up to images of 10,000 px. Finer digits are those
# of the fractions' own rounding; they put boxes at the border outside by 0.0005 px.
DIGITS = 2


def parse_yolo(text: str, label: str, classes: Sequence[str], width: int, height: int
               ) -> List[Box]:
    """Reads the boxes of one image; blank lines are skipped.

    Args:
        text: The label file's content.
        label: Its name, for messages.
        classes: The class names in the order of their numbers, which start at 0.
        width: The image's width in pixels.
        height: The image's height in pixels.

    Raises:
        LabelError: If a line is something else, or its class has no name.
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f'{label}, line {number}'
        try:
            category, *listed = map(parse_number, fields)
            cx, cy, w, h = listed
        except ValueError:
            raise LabelError(f'{where}: expected class cx cy width height, '
                             f'not {line.strip()[:80]!r}') from None
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

"""What a reader of any data set's own format hands to the writer."""
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple, Union

from .report import Finding

Number = Union[int, float]
Corners = Tuple[Number, Number, Number, Number]


class ConversionError(Exception):
    """A conversion that cannot be done. ``str()`` gives one line per cause."""


class LabelError(ValueError):
    """A label file or an image that cannot be used. The message names the file and the cause."""


class Box(NamedTuple):
    """One labelled object.

    Attributes:
        name: The class as it is written in the label file.
        corners: ``(x1, y1, x2, y2)`` in pixels from the image's upper left corner; pixel columns
            ``x1`` to ``x2 - 1`` belong to the box, so that ``x2 - x1`` is its width.
        listed: The corners as they are written in the label file, for messages.
        ignored: Whether neither training nor evaluation counts it, as VOC's ``difficult`` and
            COCO's ``iscrowd`` say.
    """
    name: str
    corners: Corners
    listed: Corners
    ignored: bool = False


class Record(NamedTuple):
    """One labelled image.

    Attributes:
        file_name: The image's path below the data root, with forward slashes.
        label: The label file's path below the data root, for messages.
        width: The image's width in pixels.
        height: The image's height in pixels.
        boxes: The objects in the label file's order.
        findings: What the reader noticed and could mend.
    """
    file_name: str
    label: str
    width: int
    height: int
    boxes: List[Box]
    findings: List[Finding]


class Reader(ABC):
    """Reads one data set's own layout.

    Attributes:
        root: The folder of the data set.
        classes: The class names in official order.
        findings: What was noticed about the set as a whole.
        splits: The image ids of each split. Splits may overlap, as trainval does with train.
    """
    root: Path
    classes: Sequence[str]
    findings: Sequence[Finding] = ()
    splits: Dict[str, List[str]]

    @abstractmethod
    def read(self, image_id: str) -> Record:
        """Reads one image's labels.

        Args:
            image_id: The name by which the splits list the image.

        Raises:
            LabelError: If a file is missing or cannot be understood.
        """


def inclusive_box(name: str, listed: Corners, ignored: bool = False) -> Box:
    """Makes a box of 1-based corners that both belong to the object, as PASCAL VOC counts them.

    Corners that coincide or are inverted in x or y enclose nothing in the sets that count so
    (DIOR has seven such slips); the box gets no width or height then, and the writer drops it.
    """
    xmin, ymin, xmax, ymax = listed
    x2 = xmax if xmax > xmin else xmin - 1
    y2 = ymax if ymax > ymin else ymin - 1
    return Box(name, (xmin - 1, ymin - 1, x2, y2), listed, ignored)

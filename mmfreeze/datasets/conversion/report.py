"""What a conversion found, counted and listed."""
from collections import Counter
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple


class Finding(NamedTuple):
    """One thing that was not as it should be.

    Attributes:
        kind: The heading under which it is counted, such as ``boxes clipped``.
        text: The file and the cause, in one line.
    """
    kind: str
    text: str


class SplitCount(NamedTuple):
    """How much of one split was written."""
    images: int
    boxes: int


class Report:
    """Counts of a conversion.

    Attributes:
        findings: Everything noticed, in the order of the images.
        splits: What was written of each split.
        boxes_per_class: The boxes kept in distinct images, in the order of the classes.
        images: The number of distinct images written.
    """

    CLIPPED = 'boxes clipped to the image'
    NO_AREA = 'boxes dropped, no area'
    OUTSIDE = 'boxes dropped, outside the image'
    LEFT_OUT = 'images left out'
    SIZE = 'images of another size than their label says'
    REPEATED = 'images listed more than once in a split, taken once'
    SHARED = 'images in two splits that should share none'
    UNLISTED = 'images in no split, not used'
    UNUSED = 'text files that belong to no image, not used'
    UNLABELLED = 'images without a label file, taken as empty'

    def __init__(self) -> None:
        self.findings: List[Finding] = []
        self.splits: Dict[str, SplitCount] = {}
        self.boxes_per_class: Dict[str, int] = {}
        self.images = 0

    @property
    def counts(self) -> Dict[str, int]:
        """The number of findings under each heading that has any."""
        return dict(Counter(finding.kind for finding in self.findings))

    @property
    def boxes(self) -> int:
        """The number of boxes kept in distinct images."""
        return sum(self.boxes_per_class.values())

    @property
    def dropped(self) -> int:
        """The number of boxes of which nothing was left."""
        return self.counts.get(self.NO_AREA, 0) + self.counts.get(self.OUTSIDE, 0)

    def summary(self) -> str:
        """Returns the few lines that the terminal shows."""
        lines = [f'{self.images} images, {self.boxes} boxes kept, {self.dropped} dropped']
        lines += [f'  {name:<10}{count.images:>7} images{count.boxes:>9} boxes'
                  for name, count in self.splits.items()]
        lines += [f'  {kind}: {number}' for kind, number in self.counts.items()]
        return '\n'.join(lines)

    def text(self) -> str:
        """Returns the whole report: the summary, the boxes of each class, and every finding."""
        width = max(map(len, self.boxes_per_class), default=0)
        lines = [self.summary(), '', 'boxes kept per class']
        lines += [f'  {name:<{width}}{number:>8}' for name, number in self.boxes_per_class.items()]
        for kind, number in self.counts.items():
            lines += ['', f'{kind}: {number}']
            lines += [f'  {finding.text}' for finding in self.findings if finding.kind == kind]
        return '\n'.join(lines) + '\n'


def unlisted(ids: Iterable[str], splits: Mapping[str, Sequence[str]]) -> List[Finding]:
    """Returns a finding for each image that is there and in no split.

    Args:
        ids: The ids of all images, as the splits have them.
        splits: The ids of each split.
    """
    used = {image_id for named in splits.values() for image_id in named}
    return [Finding(Report.UNLISTED, image_id) for image_id in sorted(set(ids) - used)]


def size_finding(label: str, listed: Optional[Tuple[int, int]], file_name: str,
                 size: Tuple[int, int]) -> List[Finding]:
    """Returns the finding that an image has another size than its label says, if so.

    Args:
        label: The label file.
        listed: (width, height) in it; None if it has none.
        file_name: The image.
        size: Its own (width, height).
    """
    if listed is None or listed == size:
        return []
    return [Finding(Report.SIZE, f'{label}: says {listed[0]} x {listed[1]}, but {file_name} has '
                                 f'{size[0]} x {size[1]}, which is taken')]

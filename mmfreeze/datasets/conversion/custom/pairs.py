"""The base of the readers for sets that have one label file per image."""
from pathlib import Path
from typing import Dict, List, Optional

from ..record import LabelError, Reader
from ..report import unlisted
from .files import FolderFiles
from .splits import find_splits


class PairsReader(Reader):
    """Pairs images with label files of the same name. Image ids are the images' paths.

    Args:
        files: The folder.
        labels: The label files in it.
        lists: The folder of the lists of images; None for the usual places.
        seed: What the split is drawn from if there are no lists.

    Attributes:
        label_of: The label file of each image that has one.
        troubles: What is wrong with ids that cannot be read, by id.

    Raises:
        ConversionError: If there is nothing to train or to test with.
    """

    def __init__(self, files: FolderFiles, labels: List[str], lists: Optional[Path],
                 seed: int) -> None:
        self.root = files.root
        self.label_of: Dict[str, str] = {}
        troubles = {}
        lost = []
        for label in labels:
            images = files.images_of_label(label)
            if not images:
                lost.append(label)
                troubles[label] = f'{label}: the image of this name is missing'
            for image in images:
                if len(images) > 1:
                    troubles[image] = (f'{image}: {label} may be about it or about another, '
                                       f'{", ".join(images)}; rename or remove one')
                elif image in self.label_of:
                    troubles[image] = (f'{image}: has two label files, {self.label_of[image]} '
                                       f'and {label}; remove one')
                self.label_of.setdefault(image, label)
        ids = [*files.images, *lost]
        self.splits, self.troubles = find_splits(files, ids, lists, seed)
        self.findings = unlisted(ids, self.splits)
        self.troubles.update(troubles)

    def check(self, image_id: str) -> None:
        """Raises :class:`LabelError` if something is wrong with an id."""
        if image_id in self.troubles:
            raise LabelError(self.troubles[image_id])

"""What lies in a folder, and which image a name in it means."""
import os
from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional

from ..convert import REPORT_NAME
from ..record import ConversionError, LabelError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


class FolderFiles:
    """The files below a folder, by paths with forward slashes; hidden ones are left out.

    Links to other folders are followed.

    Args:
        root: The folder.
        skip: A folder that is not looked into: that of the output.

    Attributes:
        images: The images, sorted.

    Raises:
        ConversionError: If a link leads in a circle, a name cannot be printed, or there is no
            image.
    """

    def __init__(self, root: Path, skip: Path) -> None:
        self.root = root
        self._files = sorted(_walk(root, skip))
        self.images = self.with_suffix(*IMAGE_SUFFIXES)
        if not self.images:
            raise ConversionError(f'{root}: no image below it ({", ".join(IMAGE_SUFFIXES)})')
        self._by_name: Dict[str, List[str]] = {}
        for image in self.images:
            path = PurePosixPath(image)
            for name in (path.name, path.stem):
                self._by_name.setdefault(name, []).append(image)

    def with_suffix(self, *suffixes: str) -> List[str]:
        """Returns the files with one of the suffixes, in any case."""
        return [name for name in self._files
                if PurePosixPath(name).suffix.lower() in suffixes]

    def image_named(self, name: str, near: str) -> str:
        """Finds the image that a list or an annotation file names, with or without its suffix.

        Args:
            name: A path, as :func:`relative_name` gives it, whose first folders may be missing.
            near: The file that names it; its folder is looked into first.

        Raises:
            LabelError: If there is none, or more than one.
        """
        found = [image for image in self._by_name.get(PurePosixPath(name).name, ())
                 if _ends_with(image, name)]
        exact = [image for image in found
                 if image in (name, (PurePosixPath(near).parent / name).as_posix())]
        found = exact if len(exact) == 1 else found
        if not found:
            raise LabelError(f'{near}: the image {name} is missing')
        if len(found) > 1:
            raise LabelError(f'{near}: the image {name} may be {" or ".join(found[:2])}; '
                             'rename or remove one')
        return found[0]

    def images_of_label(self, label: str) -> List[str]:
        """Finds the image of a label file by its name: in the same folder, else in one that
        differs in one part (``labels/a/x.txt``, ``images/a/x.jpg``), else anywhere.

        Returns:
            One image, or none, or all those that it may be.
        """
        stem = PurePosixPath(label).stem
        found = [image for image in self._by_name.get(stem, ())
                 if PurePosixPath(image).stem == stem]
        twins = [image for image in found if _differ_in_one(image, label)]
        beside = [image for image in found if _folder(image) == _folder(label)]
        return beside or twins or found


def _walk(root: Path, skip: Path) -> List[str]:
    names = []
    pending = [(root, (os.path.realpath(root),))]
    while pending:
        folder, above = pending.pop()
        for name in os.listdir(folder):
            path = folder / name
            real = os.path.realpath(path)
            if name.startswith('.') or real == os.path.realpath(skip):
                continue
            if not name.isprintable():
                raise ConversionError(f'{ascii(str(path))}: this name is not in UTF-8 or cannot be '
                                      'printed; rename it')
            if real in above:
                raise ConversionError(f'{path}: a link that leads back to a folder above it; '
                                      'remove it')
            if path.is_dir():
                if not (path / REPORT_NAME).exists():  # else the output of another run
                    pending.append((path, (*above, real)))
            else:
                names.append(path.relative_to(root).as_posix())
    return names


def _ends_with(image: str, name: str) -> bool:
    without_suffix = PurePosixPath(image).with_suffix('').as_posix()
    return any(f'/{path}'.endswith(f'/{name}') for path in (image, without_suffix))


def _folder(path: str) -> str:
    return PurePosixPath(path).parent.as_posix()


def _differ_in_one(image: str, label: str) -> bool:
    one, other = PurePosixPath(image).parent.parts, PurePosixPath(label).parent.parts
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other)) == 1


def find_first(root: Path, *names: str) -> Optional[Path]:
    """Returns the first of some files that is there, or None."""
    return next((root / name for name in names if (root / name).is_file()), None)

"""Reading files that nobody vouches for: every trouble becomes one line that names the file."""
import math
from pathlib import Path, PurePosixPath
from typing import Iterator, List, Sequence, Tuple, Union

from .record import ConversionError, LabelError


def relative_name(text: str) -> str:
    """Returns a path that a label file or a list names, with forward slashes and without ``./``.

    Raises:
        ValueError: If it is absolute or climbs with ``..``, so that it may leave the folder of the
            data set, or if it cannot be a path at all.
    """
    path = PurePosixPath(text.strip().replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts:
        raise ValueError(f'{text!r} leaves the folder of the data set; name a path below it')
    if not path.name or not text.isprintable():
        raise ValueError(f'{text!r} is no file name')
    return path.as_posix()


def read_label_text(root: Path, label: str) -> str:
    """Reads a label file.

    Args:
        root: The folder of the data set.
        label: The file's path below it.

    Raises:
        LabelError: If it is missing, is no regular file, or is not in UTF-8.
    """
    return _decoded(read_label_bytes(root, label), label)


def numbered_lines(root: Path, label: str) -> Iterator[Tuple[str, str]]:
    """Reads the lines of a label file that are not blank.

    Yields:
        Where the line is (file and number, for messages), and the line without outer blanks.

    Raises:
        LabelError: As :func:`read_label_text` raises it.
    """
    for number, line in enumerate(read_label_text(root, label).splitlines(), start=1):
        if line.strip():
            yield f'{label}, line {number}', line.strip()


def read_label_bytes(root: Path, label: str) -> bytes:
    """As :func:`read_label_text`, without decoding."""
    path = root / label
    try:
        # A pipe in the place of a file would be waited for without end.
        if path.exists() and not path.is_file():
            raise LabelError(f'{label}: is no regular file; remove it')
        return path.read_bytes()
    except FileNotFoundError as error:
        raise LabelError(f'{label}: the label file is missing') from error
    except OSError as error:
        raise LabelError(f'{label}: cannot be read ({error.strerror}); mend or remove '
                         'it') from error


def read_lines(path: Path, what: str) -> List[str]:
    """Reads the lines of a list in UTF-8; blank lines and any line ends are accepted.

    Args:
        path: The list.
        what: What it lists, for messages.

    Raises:
        ConversionError: If the list is missing, unreadable or empty.
    """
    try:
        text = _decoded(read_label_bytes(path.parent, path.name), path.name)
    except LabelError as error:
        raise ConversionError(f'{path.parent}/{error} (a list of {what})') from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ConversionError(f'{path}: this list of {what} is empty')
    return lines


def require_lists(paths: Sequence[Path], what_to_do: str) -> None:
    """Checks that the lists of a data set's splits are there.

    Raises:
        ConversionError: Some are missing.
    """
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ConversionError(f'{paths[0].parent}: {", ".join(missing)} missing; {what_to_do}')


def read_id_list(path: Path) -> List[str]:
    """Reads a list of image ids or image paths, one per line.

    Returns:
        Them as :func:`relative_name` gives them.

    Raises:
        ConversionError: If the list is missing, unreadable or empty, or names a path that leaves
            the folder.
    """
    try:
        return [relative_name(line) for line in read_lines(path, 'image ids')]
    except ValueError as error:
        raise ConversionError(f'{path}: {error}') from error


def parse_number(text: str) -> Union[int, float]:
    """Returns a number written in a label file, as an integer where it is one.

    Raises:
        ValueError: If it is no finite number.
    """
    value = float(text)
    if not math.isfinite(value) or '_' in text:
        raise ValueError(f'{text!r} is no number')
    return int(value) if value.is_integer() else value


def _decoded(content: bytes, label: str) -> str:
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise LabelError(f'{label}: is not in UTF-8 ({error.reason} at byte {error.start}); '
                         'save it as UTF-8') from error

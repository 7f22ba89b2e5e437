"""Writing files so that an interruption loses nothing."""
import os
from pathlib import Path
from typing import Dict, Union


def write_text_atomic(path: Union[str, Path], text: str) -> None:
    """Writes one text file beside its place and renames it; see :func:`write_texts_atomic`."""
    write_texts_atomic({Path(path): text})


def write_bytes_atomic(path: Union[str, Path], content: bytes) -> None:
    """Writes one file beside its place and renames it; see :func:`write_texts_atomic`."""
    _write_atomic({Path(path): content})


def write_texts_atomic(texts: Dict[Path, str]) -> None:
    """Writes several UTF-8 text files that belong together.

    Every text is first written in full to a temporary file in the folder of its target. Only when
    all of them are on the disk are they renamed, so a full disk or a kill leaves the old files.
    Missing folders are made. Line ends are written as they stand in the text.

    Args:
        texts: The text of each file by its path.

    Raises:
        OSError: If a file cannot be written; no target has changed then.
    """
    _write_atomic({target: text.encode('utf-8') for target, text in texts.items()})


def _write_atomic(contents: Dict[Path, bytes]) -> None:
    written = {}
    try:
        for target, content in contents.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
            written[temporary] = target
            try:
                with open(temporary, 'wb') as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                error.filename = str(target)  # that of a full disk does not say what it was about
                raise
        for temporary, target in written.items():
            os.replace(temporary, target)
            _flush_folder(target.parent)
    finally:
        for temporary in written:
            temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Makes a renaming outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files that are whole or not there."""
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from mmfreeze.utils.files import write_bytes_atomic


class CrashSafeBackend(LocalBackend):
    """MMEngine's local file backend, which writes beside the target, flushes and renames."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Writes a file; until it is whole on the disk, an older one of its name stays."""
        write_bytes_atomic(filepath, obj)


register_backend('crash_safe', CrashSafeBackend, force=True)

"""Where there is room for a store."""
import shutil
from pathlib import Path
from typing import Optional, Sequence

from mmfreeze.freezing import FeatureStore
from mmfreeze.freezing.store import stored_bytes

from .free_memory import free_memory


class StoreRoom:
    """Opens stores as long as there is room for them.

    Args:
        folder (Path, optional): Where files lie; None: stores are in memory.
        dtype (str): How they keep numbers.
        max_bytes (int): The most that they may take together.
    """

    def __init__(self, folder: Optional[Path], dtype: str, max_bytes: int) -> None:
        self.folder, self.dtype, self.max_bytes = folder, dtype, max_bytes

    def open(self, samples: int, views: int, shapes: Sequence[Sequence[int]], num_layers: int,
             content: str, old: Optional[FeatureStore] = None) -> FeatureStore:
        """A store, empty or with what an earlier process left.

        Args:
            samples (int): Number of samples.
            views (int): Number of views of each.
            shapes (Sequence[Sequence[int]]): Shapes of the features of a sample.
            num_layers (int): Number of layers behind which they lie.
            content (str): What they follow from.
            old (FeatureStore, optional): One that is there, and is removed if there is no room for
                both. Defaults to None.

        Raises:
            ValueError: It would be larger than allowed.
            OSError: There is no room on the disk.
        """
        size = stored_bytes(samples, shapes, self.dtype, views)
        taken = old.nbytes if old is not None else 0
        room = self.max_bytes
        if self.folder is None:
            room = min(room, free_memory() + (old.written_bytes if old is not None else 0))
        if size > room:
            raise ValueError(
                f'store: no room for {size / 1e9:.3g} GB of features behind layer '
                f'{num_layers - 1}: store.max_gb is {self.max_bytes / 1e9:g}'
                + (f', {room / 1e9:.3g} GB of memory are free' if room < self.max_bytes else ''))
        if size + taken > room:
            old.remove()
        folder = None
        if self.folder is not None:
            folder = self.folder / f'layers_{num_layers}'
            for left in self.folder.glob('layers_*'):  # by a process that died
                if left not in (folder, old and not old.removed and old.folder):
                    shutil.rmtree(left, ignore_errors=True)
        return FeatureStore(samples, shapes, self.dtype, views, folder, content)

"""Reading the next batch's stored features while the running one trains."""
from concurrent.futures import Future, ThreadPoolExecutor
from typing import List, NamedTuple, Optional, Sequence

from torch import Tensor

from mmfreeze.freezing import FeatureStore

from .prefix_features import Key


class _Read(NamedTuple):
    store: FeatureStore
    keys: Sequence[Key]
    features: 'Future[Optional[List[Tensor]]]'


class ReadAhead:
    """Reads features of one batch ahead, in a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='read_ahead')
        self._next: Optional[_Read] = None

    def begin(self, store: FeatureStore, keys: Sequence[Key]) -> None:
        """Begins to read; nothing may be written to the store until it was taken or dropped."""
        self._next = _Read(store, keys, self._thread.submit(_read, store, keys))

    def take(self, store: FeatureStore, keys: Sequence[Key]) -> Optional[List[Tensor]]:
        """Features of some samples, read already or now.

        Args:
            store (FeatureStore): Where they are.
            keys (Sequence[tuple[int, int]]): Sample and view of each.

        Returns:
            list[Tensor], optional: As :meth:`FeatureStore.get` gives them; None if some are not
            there, or not as they were written.
        """
        began, self._next = self._next, None
        if began is not None:
            features = began.features.result()
            if began.store is store and began.keys == keys:
                return features
        return _read(store, keys)

    def drop(self) -> None:
        """Waits for what was begun, and forgets it."""
        if self._next is not None:
            self._next.features.exception()
        self._next = None

    def close(self) -> None:
        """Ends the thread."""
        self.drop()
        self._thread.shutdown()


def _read(store: FeatureStore, keys: Sequence[Key]) -> Optional[List[Tensor]]:
    return None if store.lacking(keys) else store.get(keys)

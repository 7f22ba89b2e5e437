"""A split for sets that come without one."""
import hashlib
from typing import Callable, Dict, Iterable, List

TRAIN_SHARE = .75


def seeded_split(ids: Iterable[str], seed: int, group: Callable[[str], str]
                 ) -> Dict[str, List[str]]:
    """Divides images 75/25 into train and test, group by group.

    Each group is ordered by a hash of seed and id, so the split is the same on every machine and
    a further image moves others by one place at most. A group of two or more is in both splits.

    Args:
        ids: The images.
        seed: Another seed gives another split.
        group: Returns an image's group, such as its class.

    Returns:
        The ids of ``train`` and ``test``, sorted.
    """
    groups: Dict[str, List[str]] = {}
    for image_id in sorted(set(ids)):
        groups.setdefault(group(image_id), []).append(image_id)
    train, test = [], []
    for members in groups.values():
        members.sort(key=lambda image_id: hashlib.sha256(f'{seed}:{image_id}'.encode()).digest())
        count = max(1, min(round(TRAIN_SHARE * len(members)), len(members) - 1))
        train += members[:count]
        test += members[count:]
    return dict(train=sorted(train), test=sorted(test))

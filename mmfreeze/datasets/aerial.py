"""What the data sets of this project share."""
from pathlib import Path
from typing import List, Sequence

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.registry import DATASETS


def category_ids(categories: Sequence[dict], names: Sequence[str]) -> List[int]:
    """Returns the id of each named category of a COCO json.

    Raises:
        ValueError: If there is none of a name.
    """
    ids = {category['name']: category['id'] for category in categories}
    missing = [name for name in names if name not in ids]
    if missing:
        raise ValueError(f'no category {", ".join(missing)}; the file has {", ".join(ids)}')
    return [ids[name] for name in names]


class CocoByName(COCO):
    """Finds categories by name, so that label i always means the i-th class.

    The parent returns them in the order of the annotation file, whatever the order of the names.
    """

    def get_cat_ids(self, cat_names: Sequence[str]) -> List[int]:
        """Returns the category id of each class.

        Raises:
            ValueError: If the annotation file lacks a class.
        """
        return category_ids(self.dataset['categories'], cat_names)


@DATASETS.register_module()
class AerialDataset(CocoDataset):
    """A COCO json whose absence or whose wrong classes are answered with one clear line.

    By itself it is a set of one's own, whose config names the classes in ``metainfo``. Subclasses
    set ``METAINFO`` and ``CONVERTER``, the command that writes the json, in which ``{root}``
    stands for the data root. File names in the json are relative to the data root.
    """
    COCOAPI = CocoByName
    METAINFO: dict = dict(palette=None)  # drawn colours are mmdet's random ones then
    CONVERTER = 'tools/dataset_converters/custom.py {root}'

    def load_data_list(self) -> List[dict]:
        """Loads the annotation file.

        Returns:
            One dict per image, as mmdet's ``CocoDataset`` gives them.

        Raises:
            FileNotFoundError: If the annotation file is absent; names the command that makes it.
            ValueError: If the file is no json or lacks a class.
        """
        if self.backend_args is None and not Path(self.ann_file).is_file():
            command = self.CONVERTER.format(root=self.data_root.rstrip('/') or '.')
            raise FileNotFoundError(f'{self.ann_file} is absent; make it with: python {command}')
        try:
            return super().load_data_list()
        except ValueError as error:
            raise ValueError(f'{self.ann_file}: {error}') from error

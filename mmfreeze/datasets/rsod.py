"""RSOD, aerial images of 4 classes."""
from mmdet.registry import DATASETS

from .aerial import AerialDataset


@DATASETS.register_module()
class RSODDataset(AerialDataset):
    """RSOD (Long, Gong, Xiao, Liu, IEEE TGRS 55, 2017).

    976 images of about 1,000 px; there is no official split. The classes are named as the
    release's folders.
    """
    METAINFO = dict(
        classes=('aircraft', 'oiltank', 'overpass', 'playground'),
        palette=[(230, 25, 75), (170, 255, 195), (170, 110, 40), (0, 128, 128)])
    CONVERTER = 'tools/dataset_converters/rsod.py {root}'

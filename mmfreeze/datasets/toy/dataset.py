"""The registered class of the toy set."""
from mmdet.registry import DATASETS

from ..aerial import AerialDataset


@DATASETS.register_module()
class ToyDataset(AerialDataset):
    """Small drawn scenes of six of DIOR's classes, in DIOR's layout; see :func:`generate_toy`."""
    METAINFO = dict(
        classes=('airplane', 'basketballcourt', 'ship', 'storagetank', 'tenniscourt', 'vehicle'),
        palette=[(230, 25, 75), (0, 130, 200), (255, 250, 200), (170, 255, 195), (128, 128, 0),
                 (0, 0, 128)])
    CONVERTER = 'tools/dataset_converters/make_toy.py --out {root}'

"""SIMD, satellite images of 15 classes of vehicles."""
from mmdet.registry import DATASETS

from .aerial import AerialDataset


@DATASETS.register_module()
class SIMDDataset(AerialDataset):
    """SIMD (Haroon, Shahzad, Fraz, IEEE JSTARS 13, 2020).

    5,000 images of 1024 x 768 px; train 4,000 (training and validation), test 1,000. The classes
    stand in the order of their numbers, that of the release's ``classes.txt``.
    """
    METAINFO = dict(
        classes=('car', 'truck', 'van', 'longvehicle', 'bus', 'airliner', 'propeller', 'trainer',
                 'chartered', 'fighter', 'other', 'stairtruck', 'pushbacktruck', 'helicopter',
                 'boat'),
        palette=[(0, 0, 128), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48),
                 (230, 25, 75), (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60),
                 (128, 128, 128), (0, 128, 128), (170, 110, 40), (220, 190, 255),
                 (255, 250, 200)])
    CONVERTER = 'tools/dataset_converters/simd.py {root}'

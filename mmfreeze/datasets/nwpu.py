"""NWPU VHR-10, very-high-resolution aerial images of 10 classes."""
from mmdet.registry import DATASETS

from .aerial import AerialDataset


@DATASETS.register_module()
class NWPUVHR10Dataset(AerialDataset):
    """The positive images of NWPU VHR-10 (Cheng et al., ISPRS Journal 98, 2014).

    650 images of 533-1728 x 358-1028 px, 3,896 boxes; there is no official split. The classes
    stand in the order of their numbers in the label files.
    """
    METAINFO = dict(
        classes=('airplane', 'ship', 'storage tank', 'baseball diamond', 'tennis court',
                 'basketball court', 'ground track field', 'harbor', 'bridge', 'vehicle'),
        palette=[(230, 25, 75), (255, 250, 200), (170, 255, 195), (255, 225, 25), (128, 128, 0),
                 (0, 130, 200), (0, 128, 128), (220, 190, 255), (245, 130, 48), (0, 0, 128)])
    CONVERTER = 'tools/dataset_converters/nwpu.py {root}'

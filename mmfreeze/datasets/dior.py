"""DIOR, optical aerial images of 20 classes."""
from mmdet.registry import DATASETS

from .aerial import AerialDataset


@DATASETS.register_module()
class DIORDataset(AerialDataset):
    """DIOR with horizontal boxes (Li et al., ISPRS Journal 159, 2020).

    23,463 images, most of them 800 x 800 px; trainval 11,725, test 11,738. The classes stand in
    the paper's order and are spelled as in its xml files.
    """
    METAINFO = dict(
        classes=('airplane', 'airport', 'baseballfield', 'basketballcourt', 'bridge', 'chimney',
                 'dam', 'Expressway-Service-area', 'Expressway-toll-station', 'golffield',
                 'groundtrackfield', 'harbor', 'overpass', 'ship', 'stadium', 'storagetank',
                 'tenniscourt', 'trainstation', 'vehicle', 'windmill'),
        palette=[(230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48),
                 (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212),
                 (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200), (128, 0, 0),
                 (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128)])
    CONVERTER = 'tools/dataset_converters/dior.py {root}'

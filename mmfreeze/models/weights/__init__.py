"""Start weights of the plain ViT backbone, from the files of several projects."""
from .files import read_checkpoint, read_weights, write_weights
from .names import OwnNames, to_own_names
from .pretrained_vit import LoadReport, PretrainedViT, load_vit_weights

__all__ = ['LoadReport', 'OwnNames', 'PretrainedViT', 'load_vit_weights',
           'read_checkpoint', 'read_weights', 'to_own_names', 'write_weights']

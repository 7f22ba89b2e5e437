"""How similar what layers hand on during a training is to what they hand on at its end."""
from .checkpoints import read_checkpoints, require_same_model
from .cka import FEWEST_IMAGES, MinibatchCKA, centred_gram
from .compare import compare_layers, minibatches
from .layers import LayerGrams
from .similarity import Freezing, Similarity

__all__ = ['FEWEST_IMAGES', 'Freezing', 'LayerGrams', 'MinibatchCKA', 'Similarity', 'centred_gram',
           'compare_layers', 'minibatches', 'read_checkpoints', 'require_same_model']

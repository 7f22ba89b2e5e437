"""Building blocks of the models."""
from .attention import Attention
from .attention_kernels import choose_kernel
from .channel_layer_norm import ChannelLayerNorm
from .drop_path import DropPath
from .positions import (
    relative_distances, relative_positions, resize_position_table, resize_relative_table)
from .transformer_block import TransformerBlock
from .windows import window_partition, window_unpartition

__all__ = [
    'Attention', 'ChannelLayerNorm', 'DropPath', 'TransformerBlock', 'choose_kernel',
    'relative_distances', 'relative_positions', 'resize_position_table', 'resize_relative_table',
    'window_partition', 'window_unpartition'
]

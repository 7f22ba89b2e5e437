"""Data sets: classes, layout, conversion; and the toy set."""
from .aerial import AerialDataset
from .dior import DIORDataset
from .nwpu import NWPUVHR10Dataset
from .rsod import RSODDataset
from .simd import SIMDDataset
from .toy import ToyDataset
from .transforms import PadToSize

__all__ = ['AerialDataset', 'DIORDataset', 'NWPUVHR10Dataset', 'PadToSize', 'RSODDataset',
           'SIMDDataset', 'ToyDataset']

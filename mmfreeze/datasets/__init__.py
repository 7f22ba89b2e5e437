"""Data sets: classes, layout, conversion; and the toy set."""
from .aerial import AerialDataset
from .dior import DIORDataset
from .nwpu import NWPUVHR10Dataset
from .rsod import RSODDataset
from .samplers import FixedShareSampler
from .simd import SIMDDataset
from .toy import ToyDataset
from .transforms import LoadImageUnlessStored, PadToSize, ReplayableViews

__all__ = ['AerialDataset', 'DIORDataset', 'FixedShareSampler', 'LoadImageUnlessStored',
           'NWPUVHR10Dataset', 'PadToSize', 'RSODDataset', 'ReplayableViews', 'SIMDDataset',
           'ToyDataset']

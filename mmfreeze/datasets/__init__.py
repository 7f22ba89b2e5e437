"""Data sets: classes, layout, conversion; and the toy set."""
from .dior import DIORDataset
from .nwpu import NWPUVHR10Dataset
from .toy import ToyDataset
from .transforms import PadToSize

__all__ = ['DIORDataset', 'NWPUVHR10Dataset', 'PadToSize', 'ToyDataset']

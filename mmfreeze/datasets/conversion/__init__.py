"""Converters from the data sets' own layouts to COCO json."""
from .command_line import add_seed_option, conversion_parser, run_conversion
from .convert import convert
from .dior import DIORReader
from .nwpu import NWPUVHR10Reader
from .reading import read_lines
from .record import Box, ConversionError, LabelError, Reader, Record, inclusive_box
from .report import Report
from .rsod import RSODReader
from .simd import SIMDReader
from .split import seeded_split

__all__ = [
    'Box', 'ConversionError', 'DIORReader', 'LabelError', 'NWPUVHR10Reader', 'RSODReader',
    'Reader', 'Record', 'Report', 'SIMDReader', 'add_seed_option', 'conversion_parser', 'convert',
    'inclusive_box', 'read_lines', 'run_conversion', 'seeded_split'
]

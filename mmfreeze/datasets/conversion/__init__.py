"""Converters from the data sets' own layouts to COCO json."""
from .command_line import conversion_parser, run_conversion
from .convert import convert
from .dior import DIORReader
from .nwpu import NWPUVHR10Reader
from .record import (Box, ConversionError, LabelError, Reader, Record, inclusive_box, read_id_list,
                     read_image_size)
from .report import Report

__all__ = [
    'Box', 'ConversionError', 'DIORReader', 'LabelError', 'NWPUVHR10Reader', 'Reader', 'Record',
    'Report', 'conversion_parser', 'convert', 'inclusive_box', 'read_id_list', 'read_image_size',
    'run_conversion'
]

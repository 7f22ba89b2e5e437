"""Readers for folders of one's own: VOC xml, YOLO txt or COCO json in any arrangement."""
from .config import config_text
from .recognise import FORMATS, open_folder

__all__ = ['FORMATS', 'config_text', 'open_folder']

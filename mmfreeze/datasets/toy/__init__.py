"""The toy set: drawn scenes that take DIOR's path from xml to mAP."""
from .dataset import ToyDataset
from .generate import generate_toy
from .scene import ToyDifficulty, ToyObject, draw_scene

__all__ = ['ToyDataset', 'ToyDifficulty', 'ToyObject', 'draw_scene', 'generate_toy']

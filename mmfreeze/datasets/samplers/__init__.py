"""Samplers."""
from .fixed_share_sampler import FixedShareSampler

__all__ = ['FixedShareSampler']

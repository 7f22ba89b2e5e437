"""What an iteration costs with layers frozen, against what it should cost."""
from .measure import measure_freezing, measure_overhead
from .subject import Subject

__all__ = ['Subject', 'measure_freezing', 'measure_overhead']

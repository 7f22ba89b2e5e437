"""Pictures of runs."""
from .benchmark import plot_benchmark
from .curves import curves_figure
from .freezing import freezing_figure
from .style import save_figure

__all__ = ['curves_figure', 'freezing_figure', 'plot_benchmark', 'save_figure']

"""One page about several runs."""
from .page import report_page

__all__ = ['report_page']

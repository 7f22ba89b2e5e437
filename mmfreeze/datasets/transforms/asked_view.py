"""What a pipeline is asked to show: said from outside, for it may lie within other data sets."""
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Iterator, Optional

_view: ContextVar[Optional[int]] = ContextVar('view', default=None)
_with_image: ContextVar[bool] = ContextVar('with_image', default=True)


@contextmanager
def asking(view: Optional[int], with_image: bool = True) -> Iterator[None]:
    """Asks the pipelines that run meanwhile for a view.

    Args:
        view (int, optional): Its number. None: whichever they like.
        with_image (bool): Whether pixels are wanted, beside boxes and meta information. Defaults
            to True.
    """
    tokens = _view.set(view), _with_image.set(with_image)
    try:
        yield
    finally:
        _view.reset(tokens[0])
        _with_image.reset(tokens[1])


def asked_view() -> Optional[int]:
    """The number of the view that is asked for, if any is."""
    return _view.get()


def image_wanted() -> bool:
    """Whether anybody looks at the pixels."""
    return _with_image.get()

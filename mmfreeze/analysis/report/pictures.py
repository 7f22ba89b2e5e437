"""Pictures as data URIs, which a page needs no other file for."""
import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

# Longest side of a photograph in pixels, which keeps a page of large aerial images small.
LONGEST_SIDE = 640


def figure_uri(figure: Figure) -> str:
    """A figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=130)
    return _data_uri('png', file)


def image_uri(image: np.ndarray) -> str:
    """An RGB image (H, W, 3) as JPEG, perhaps smaller."""
    picture = Image.fromarray(image)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, 'JPEG', quality=85)
    return _data_uri('jpeg', file)


def _data_uri(kind: str, file: io.BytesIO) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}'

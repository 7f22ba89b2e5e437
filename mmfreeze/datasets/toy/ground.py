"""The toy set's ground: fields, roads and noise at several scales."""
import numpy as np
from PIL import Image, ImageDraw

from .shapes import Pen, shade

SOILS = ((88, 108, 66), (122, 112, 84), (132, 130, 124), (104, 118, 88), (150, 138, 108),
         (70, 88, 92))
ROAD = (112, 112, 114)


def draw_ground(rng: np.random.Generator, size: int, scale: int, noise: float) -> Image.Image:
    """Draws ground without any object.

    Args:
        rng: The generator of this image.
        size: The image's side in pixels.
        scale: Canvas pixels per image pixel.
        noise: The strength of the texture, in grey levels out of 255.

    Returns:
        An RGB canvas, ``size * scale`` on either side.
    """
    canvas = Image.new('RGB', (size * scale, size * scale), SOILS[rng.integers(len(SOILS))])
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(2, 6)):
        _draw_field(draw, rng, size, scale)
    for _ in range(rng.integers(0, 3)):
        _draw_road(draw, rng, size, scale)
    pixels = np.asarray(canvas).astype(np.int32) + _texture(rng, size * scale, noise)[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _draw_field(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int,
                scale: int) -> None:
    """A turned rectangle of another soil, some with furrows."""
    pen = Pen(draw, tuple(rng.uniform(0, size, 2)), rng.uniform(0, 90), scale)
    u, v = rng.uniform(.1, .35, 2) * size
    soil = shade(SOILS[rng.integers(len(SOILS))], rng.uniform(.85, 1.15))
    pen.rectangle(-u, -v, u, v, soil)
    if rng.uniform() < .5:
        for row in np.arange(-v, v, rng.uniform(3, 7)):
            pen.line(-u, row, u, row, shade(soil, .88), 1.2)


def _draw_road(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int,
               scale: int) -> None:
    """A road through the whole image with a dashed centre line."""
    pen = Pen(draw, tuple(rng.uniform(.15, .85, 2) * size), rng.uniform(0, 180), scale)
    width = rng.uniform(8, 16)
    pen.rectangle(-2 * size, -width / 2, 2 * size, width / 2, ROAD)
    for start in np.arange(-2 * size, 2 * size, 8):
        pen.line(start, 0, start + 4, 0, shade(ROAD, 1.5), .7)


def _texture(rng: np.random.Generator, side: int, strength: float) -> np.ndarray:
    """Returns noise of shape (side, side): random grids of 5 to 160 cells, enlarged and added."""
    total = np.zeros((side, side), np.float64)
    for cells in (5, 20, 80, 160):
        grid = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
        total += np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC)) - 127.5
    return np.rint(total * (strength / 127.5)).astype(np.int32)

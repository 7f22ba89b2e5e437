"""Draws the toy set's scenes."""
import dataclasses
import math
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from .ground import draw_ground
from .shapes import CLUTTER, OBJECTS, Colour, Pen

Range = Tuple[float, float]


@dataclasses.dataclass(frozen=True)
class ToyDifficulty:
    """What makes the toy set hard; lengths in pixels.

    Attributes:
        groups: How many objects or rows of touching objects an image gets.
        row: The chance that an object stands in a row of its kind, and how many there are then.
        gap: The space between the members of a row.
        clutter: How many things that belong to no class an image gets.
        contrast: How far an object's colour stands off from the ground, 1 being its own colour.
        ground_noise: The strength of the ground's texture in grey levels.
        pixel_noise: The largest noise of a single pixel in grey levels.
        gain: The brightness of an image.
        tilt: The largest turn away from a right angle, in degrees.
        length: The length of each class's objects.
        aspect: The width of each class's objects over their length.
    """
    groups: Tuple[int, int] = (3, 6)
    row: Tuple[float, int, int] = (.35, 2, 4)
    gap: Range = (0, 1.5)
    clutter: Tuple[int, int] = (2, 6)
    contrast: Range = (.8, 1.)
    ground_noise: float = 7
    pixel_noise: int = 5
    gain: Range = (.85, 1.1)
    tilt: float = 5
    length: Dict[str, Range] = dataclasses.field(default_factory=lambda: dict(
        airplane=(26, 46), basketballcourt=(30, 50), ship=(24, 48), storagetank=(10, 26),
        tenniscourt=(30, 50), vehicle=(18, 30)))
    aspect: Dict[str, Range] = dataclasses.field(default_factory=lambda: dict(
        airplane=(.85, 1.1), basketballcourt=(.5, .6), ship=(.32, .44), storagetank=(1, 1),
        tenniscourt=(.5, .6), vehicle=(.5, .6)))


class ToyObject(NamedTuple):
    """A class name and (xmin, ymin, xmax, ymax), 1-based and inclusive as in DIOR."""
    name: str
    box: Tuple[int, int, int, int]


SUPERSAMPLING = 4
EDGE = 3  # no object's centre lies nearer to the image's edge, so at least half of it shows
COURTS = ((70, 120, 88), (66, 98, 140), (150, 84, 66), (116, 104, 140))
METALS = ((232, 232, 228), (205, 208, 212), (180, 178, 170))
HULLS = ((176, 48, 44), (214, 222, 230), (52, 60, 84))
PAINTS = ((230, 230, 230), (176, 48, 44), (48, 74, 140), (210, 176, 60), (54, 56, 60),
          (150, 152, 156))
COLOURS: Dict[str, Sequence[Colour]] = dict(
    airplane=METALS, basketballcourt=COURTS, ship=HULLS, storagetank=METALS, tenniscourt=COURTS,
    vehicle=PAINTS)
CLUTTER_COLOURS = (*COURTS, *METALS, *HULLS, *PAINTS, (52, 78, 44), (64, 92, 58))


def draw_scene(rng: np.random.Generator, size: int,
               difficulty: ToyDifficulty) -> Tuple[Image.Image, List[ToyObject]]:
    """Draws one image.

    Args:
        rng: The generator of this image.
        size: The image's side in pixels.
        difficulty: How hard it is to be.

    Returns:
        An RGB image and its objects. No object lies across another one; members of a row touch.
    """
    canvas = draw_ground(rng, size, SUPERSAMPLING, difficulty.ground_noise)
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(*difficulty.clutter, endpoint=True)):
        shape = CLUTTER[rng.integers(len(CLUTTER))]
        length = rng.uniform(9, 30)
        pen = Pen(draw, tuple(rng.uniform(0, size, 2)), _angle(rng, difficulty), SUPERSAMPLING)
        shape(pen, length, length * rng.uniform(.5, .9),
              _contrasted(canvas, pen, CLUTTER_COLOURS, rng, difficulty))
    objects: List[ToyObject] = []
    for _ in range(rng.integers(*difficulty.groups, endpoint=True)):
        objects += _draw_group(canvas, draw, rng, size, objects, difficulty)
    image = np.asarray(canvas.reduce(SUPERSAMPLING)).astype(np.float64)
    image = image * rng.uniform(*difficulty.gain) + rng.integers(
        -difficulty.pixel_noise, difficulty.pixel_noise, image.shape, endpoint=True)
    return Image.fromarray(np.rint(image).clip(0, 255).astype(np.uint8)), objects


def _angle(rng: np.random.Generator, difficulty: ToyDifficulty) -> float:
    return 90 * rng.integers(4) + rng.uniform(-difficulty.tilt, difficulty.tilt)


def _contrasted(canvas: Image.Image, pen: Pen, colours: Sequence[Colour],
                rng: np.random.Generator, difficulty: ToyDifficulty) -> Colour:
    """Draws a colour and moves it towards the ground's under the pen."""
    side = canvas.width - 1
    x, y = (min(max(coordinate, 0), side) for coordinate in pen.place(0, 0))
    ground = canvas.getpixel((x, y))
    contrast = rng.uniform(*difficulty.contrast)
    colour = colours[rng.integers(len(colours))]
    return tuple(int(g + contrast * (c - g)) for g, c in zip(ground, colour))


def _draw_group(canvas: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator,
                size: int, others: List[ToyObject], difficulty: ToyDifficulty) -> List[ToyObject]:
    """Draws an object, or a row of touching ones, where it is free; nothing if no place is."""
    names = tuple(OBJECTS)
    name = names[rng.integers(len(names))]
    chance, fewest, most = difficulty.row
    count = rng.integers(fewest, most, endpoint=True) if rng.uniform() < chance else 1
    length = rng.uniform(*difficulty.length[name])
    width = length * rng.uniform(*difficulty.aspect[name])
    step = width + rng.uniform(*difficulty.gap)
    angle = _angle(rng, difficulty)
    turn = math.radians(angle)
    across = (-math.sin(turn) * step, math.cos(turn) * step)
    reach = (math.hypot(length, width + step * (count - 1))) / 2
    for _ in range(20):
        x, y = rng.uniform(.05 * size, .95 * size, 2)
        if any(x - reach < box[2] and x + reach > box[0] and y - reach < box[3]
               and y + reach > box[1] for _, box in others):
            continue
        placed = []
        for member in range(count):
            offset = member - (count - 1) / 2
            centre = (x + offset * across[0], y + offset * across[1])
            if min(centre) < EDGE or max(centre) > size - EDGE:
                continue
            pen = Pen(draw, centre, angle, SUPERSAMPLING)
            OBJECTS[name](pen, length, width,
                          _contrasted(canvas, pen, COLOURS[name], rng, difficulty))
            placed.append(ToyObject(name, _visible_box(pen, size)))
        return placed
    return []


def _visible_box(pen: Pen, size: int) -> Tuple[int, int, int, int]:
    """Returns the 1-based inclusive box of what lies inside the image."""
    x1, y1, x2, y2 = pen.box()
    return (max(math.floor(x1), 0) + 1, max(math.floor(y1), 0) + 1, min(math.ceil(x2), size),
            min(math.ceil(y2), size))

"""The toy set's objects and look-alikes, drawn as polygons in a frame of their own.

Every function takes ``(pen, length, width, colour)``, sizes in image pixels. ``u`` runs along the
object's length and ``v`` along its width, both from -0.5 to 0.5.
"""
import math
from typing import Callable, Dict, List, Sequence, Tuple

from PIL import ImageDraw

Colour = Tuple[int, int, int]
Point = Tuple[float, float]


class Pen:
    """Draws in the frame of one object and remembers how far the drawing reached.

    Args:
        draw: The canvas, ``scale`` times finer than the image.
        centre: The object's centre in image pixels.
        angle: Its rotation in degrees.
        scale: Canvas pixels per image pixel.
    """

    def __init__(self, draw: ImageDraw.ImageDraw, centre: Point, angle: float, scale: int) -> None:
        self.draw = draw
        self.centre = centre
        self.cosine = math.cos(math.radians(angle))
        self.sine = math.sin(math.radians(angle))
        self.scale = scale
        self.reached: List[Point] = []

    def place(self, u: float, v: float) -> Tuple[int, int]:
        """Returns the canvas point of an offset in image pixels, rounded to whole canvas pixels."""
        x = self.centre[0] + u * self.cosine - v * self.sine
        y = self.centre[1] + u * self.sine + v * self.cosine
        return round(x * self.scale), round(y * self.scale)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fills a polygon given in offsets from the centre."""
        placed = [self.place(u, v) for u, v in points]
        self.draw.polygon(placed, fill=colour)
        self.reached += placed

    def rectangle(self, u1: float, v1: float, u2: float, v2: float, colour: Colour) -> None:
        """Fills a rectangle between two corners."""
        self.polygon([(u1, v1), (u2, v1), (u2, v2), (u1, v2)], colour)

    def disc(self, radius: float, colour: Colour, u: float = 0, v: float = 0) -> None:
        """Fills a disc."""
        x, y = self.place(u, v)
        r = round(radius * self.scale)
        self.draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
        self.reached += [(x - r, y - r), (x + r, y + r)]

    def line(self, u1: float, v1: float, u2: float, v2: float, colour: Colour,
             width: float) -> None:
        """Draws a line inside the object."""
        self.draw.line([self.place(u1, v1), self.place(u2, v2)], fill=colour,
                       width=max(1, round(width * self.scale)))

    def ring(self, radius: float, colour: Colour, width: float, u: float = 0,
             v: float = 0) -> None:
        """Draws a circle inside the object."""
        x, y = self.place(u, v)
        r = round(radius * self.scale)
        self.draw.ellipse([x - r, y - r, x + r, y + r], outline=colour,
                          width=max(1, round(width * self.scale)))

    def box(self) -> Tuple[float, float, float, float]:
        """Returns (x1, y1, x2, y2) of everything filled, in image pixels."""
        xs, ys = zip(*self.reached)
        return (min(xs) / self.scale, min(ys) / self.scale, (max(xs) + 1) / self.scale,
                (max(ys) + 1) / self.scale)


def shade(colour: Colour, factor: float) -> Colour:
    """Returns a darker (factor < 1) or lighter colour."""
    return tuple(min(255, int(channel * factor)) for channel in colour)


def airplane(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A fuselage with swept wings and a tail; the width is the span."""
    u, v = length / 2, width / 2
    body = length * .07
    pen.polygon([(.25 * u, 0), (-.25 * u, v), (-.45 * u, v), (-.1 * u, 0), (-.45 * u, -v),
                 (-.25 * u, -v)], colour)
    pen.polygon([(-.65 * u, 0), (-.85 * u, .42 * v), (-u, .42 * v), (-.9 * u, 0),
                 (-u, -.42 * v), (-.85 * u, -.42 * v)], colour)
    pen.polygon([(u, 0), (.8 * u, body), (-u, body * .7), (-u, -body * .7), (.8 * u, -body)],
                shade(colour, 1.1))


def cross(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """Two crossing bars, as an airplane without sweep and tail."""
    u, v = length / 2, width / 2
    pen.rectangle(-u, -.12 * v, u, .12 * v, colour)
    pen.rectangle(-.12 * u, -v, .12 * u, v, colour)


def _court(pen: Pen, length: float, width: float, colour: Colour) -> float:
    """Fills a court with a border line and returns the width of its lines."""
    u, v, line = length / 2, width / 2, .8
    pen.rectangle(-u, -v, u, v, colour)
    u, v = .86 * u, .8 * v
    for ends in ((-u, -v, u, -v), (u, -v, u, v), (u, v, -u, v), (-u, v, -u, -v)):
        pen.line(*ends, (235, 235, 230), line)
    return line


def tennis_court(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A court with side lines, service lines and a net."""
    line = _court(pen, length, width, colour)
    u, v = .43 * length, .4 * width
    white = (235, 235, 230)
    for side in (-.72 * v, .72 * v):
        pen.line(-u, side, u, side, white, line)
    for service in (-.5 * u, .5 * u):
        pen.line(service, -.72 * v, service, .72 * v, white, line)
    pen.line(-.5 * u, 0, .5 * u, 0, white, line)
    pen.line(0, -v, 0, v, shade(colour, .5), line)


def basketball_court(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A court with a centre line and circle and a key at each end."""
    line = _court(pen, length, width, colour)
    u, v = .43 * length, .4 * width
    white = (235, 235, 230)
    pen.line(0, -v, 0, v, white, line)
    pen.ring(.38 * v, white, line)
    for end in (-1, 1):
        pen.rectangle(end * .6 * u, -.35 * v, end * u, .35 * v, shade(colour, .7))


def bare_court(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A court-like lot with a border line only."""
    _court(pen, length, width, colour)


def storage_tank(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A disc with a rim and a roof seen from above, its lower side in shadow."""
    radius = length / 2
    pen.disc(radius, shade(colour, .6))
    pen.disc(.84 * radius, colour, u=-.05 * length)
    pen.disc(.2 * radius, shade(colour, .8))


def bush(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A round plant: a disc without rim, with a lobed edge."""
    radius = length / 2
    pen.disc(.75 * radius, colour)
    for step in range(5):
        turn = 2 * math.pi * step / 5
        pen.disc(.4 * radius, shade(colour, .9 + .08 * (step % 3)), .55 * radius * math.cos(turn),
                 .55 * radius * math.sin(turn))


def vehicle(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A car: a body with dark windows in front and behind."""
    u, v = length / 2, width / 2
    pen.polygon([(u, -.7 * v), (u, .7 * v), (.85 * u, v), (-u, v), (-u, -v), (.85 * u, -v)],
                colour)
    pen.rectangle(.25 * u, -.8 * v, .55 * u, .8 * v, (35, 40, 50))
    pen.rectangle(-.75 * u, -.75 * v, -.55 * u, .75 * v, (35, 40, 50))


def ship(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A hull with a pointed bow and a light deck house behind."""
    u, v = length / 2, width / 2
    pen.polygon([(u, 0), (.45 * u, v), (-.9 * u, v), (-u, .6 * v), (-u, -.6 * v), (-.9 * u, -v),
                 (.45 * u, -v)], colour)
    pen.rectangle(-.7 * u, -.5 * v, -.15 * u, .5 * v, shade(colour, 1.35))
    pen.line(0, 0, .7 * u, 0, shade(colour, .6), .8)


def container(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A plain box of a car's size, with ribs instead of windows."""
    u, v = length / 2, width / 2
    pen.rectangle(-u, -v, u, v, colour)
    for rib in (-.5, 0, .5):
        pen.line(rib * u, -v, rib * u, v, shade(colour, .75), .6)


def house(pen: Pen, length: float, width: float, colour: Colour) -> None:
    """A ridged roof, one side in shadow."""
    u, v = length / 2, width / 2
    pen.rectangle(-u, -v, u, 0, colour)
    pen.rectangle(-u, 0, u, v, shade(colour, .75))


Shape = Callable[[Pen, float, float, Colour], None]

OBJECTS: Dict[str, Shape] = dict(
    airplane=airplane, basketballcourt=basketball_court, ship=ship, storagetank=storage_tank,
    tenniscourt=tennis_court, vehicle=vehicle)
CLUTTER: Tuple[Shape, ...] = (cross, bare_court, bush, container, house)

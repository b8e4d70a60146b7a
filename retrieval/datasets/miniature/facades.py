"""Drawing house fronts for the miniature benchmark: a street has a style, each of its houses departs from it.

All lengths are shares of the canvas, origin at the top left, so a house can be drawn at any size.
"""

import colorsys
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from retrieval.datasets.base import Box

Colour = tuple[int, int, int]
Texture = Literal["plain", "brick", "boards", "stone"]
Roof = Literal["flat", "gable", "stepped", "mansard"]
Window = Literal["square", "tall", "arched", "round", "crossed"]

_TEXTURES: tuple[Texture, ...] = ("plain", "brick", "boards", "stone")
_ROOFS: tuple[Roof, ...] = ("flat", "gable", "stepped", "mansard")
_WINDOWS: tuple[Window, ...] = ("square", "tall", "arched", "round", "crossed")
# Drawn larger and reduced: ImageDraw has no smooth edges.
_OVERSAMPLING = 2
# How far the colours of a house may lie from those of its street, of 255.
_SPREAD = 45


@dataclass(frozen=True)
class Street:
    """The features that the houses of a street share, which make them easy to mistake for one another."""

    wall: Colour
    trim: Colour
    roof_colour: Colour
    glass: Colour
    texture: Texture
    roof: Roof
    window: Window
    storeys: int
    columns: int


@dataclass(frozen=True)
class House:
    """One house front. `shuttered` are the (row, column) of the closed windows, rows counted from the top."""

    style: Street
    eaves: float
    peak: float
    window_width: float
    window_height: float
    shuttered: frozenset[tuple[int, int]]
    shutter: Colour
    door_column: int
    door: Colour
    sign: Box | None
    sign_colour: Colour
    band_rows: tuple[int, ...]
    balcony_row: int | None
    chimneys: tuple[float, ...]
    medallion: float | None


def sample_street(rng: np.random.Generator) -> Street:
    """Draw the style of a street."""
    return Street(
        wall=_colour(rng, saturation=(0.1, 0.55), value=(0.5, 0.9)),
        trim=_colour(rng, saturation=(0.0, 0.3), value=(0.75, 1.0)),
        roof_colour=_colour(rng, saturation=(0.2, 0.7), value=(0.25, 0.55)),
        glass=_colour(rng, saturation=(0.1, 0.5), value=(0.15, 0.45)),
        texture=_TEXTURES[rng.integers(len(_TEXTURES))],
        roof=_ROOFS[rng.integers(len(_ROOFS))],
        window=_WINDOWS[rng.integers(len(_WINDOWS))],
        storeys=int(rng.integers(2, 5)),
        columns=int(rng.integers(3, 6)),
    )


def sample_house(street: Street, rng: np.random.Generator) -> House:
    """Draw one house of a street: the street's style with small departures, and details of its own."""
    style = replace(
        street,
        wall=_near(street.wall, rng),
        trim=_near(street.trim, rng),
        roof_colour=_near(street.roof_colour, rng),
        glass=_near(street.glass, rng),
        storeys=int(np.clip(street.storeys + rng.integers(-1, 2), 2, 5)),
        columns=int(np.clip(street.columns + rng.integers(-1, 2), 3, 6)),
    )
    eaves = float(rng.uniform(0.18, 0.32))
    sign_x, sign_y = rng.uniform(0.08, 0.6), rng.uniform(0.4, 0.75)
    sign = (sign_x, sign_y, sign_x + rng.uniform(0.15, 0.38), sign_y + rng.uniform(0.08, 0.18))
    closed_RC = rng.random((style.storeys, style.columns)) < 0.2
    return House(
        style=style,
        eaves=eaves,
        peak=float(rng.uniform(0.0, eaves - 0.12)),
        window_width=float(rng.uniform(0.45, 0.7)),
        window_height=float(rng.uniform(0.5, 0.75)),
        shuttered=frozenset((int(row), int(column)) for row, column in np.argwhere(closed_RC)),
        shutter=_colour(rng, saturation=(0.3, 0.9), value=(0.3, 0.7)),
        door_column=int(rng.integers(style.columns)),
        door=_colour(rng, saturation=(0.4, 1.0), value=(0.25, 0.8)),
        sign=sign if rng.random() < 0.7 else None,
        sign_colour=_colour(rng, saturation=(0.5, 1.0), value=(0.5, 1.0)),
        band_rows=tuple(int(row) for row in np.flatnonzero(rng.random(style.storeys) < 0.4)),
        balcony_row=int(rng.integers(style.storeys - 1)) if rng.random() < 0.4 else None,
        chimneys=tuple(float(x) for x in rng.uniform(0.12, 0.82, size=rng.integers(0, 3))),
        medallion=float(rng.uniform(0.3, 0.7)) if rng.random() < 0.4 else None,
    )


def draw_house(house: House, size: int) -> Image.Image:
    """Paint a house front: RGBA, `size` × `size` pixels, transparent where the sky would be."""
    canvas = Image.new("RGBA", (size * _OVERSAMPLING, size * _OVERSAMPLING))
    brush = _Brush(canvas)
    _draw_roof(brush, house)
    brush.rectangle((0.02, house.eaves, 0.98, 1.0), house.style.wall)
    _draw_texture(brush, house)
    for row in range(house.style.storeys):
        _draw_storey(brush, house, row)
    if house.sign is not None:
        brush.rectangle(house.sign, house.sign_colour, outline=house.style.trim)
    return canvas.reduce(_OVERSAMPLING)


class _Brush:
    """An ImageDraw whose coordinates are shares of the canvas."""

    def __init__(self, canvas: Image.Image) -> None:
        self._side = canvas.width
        self._draw = ImageDraw.Draw(canvas)

    def rectangle(self, box: Box, fill: Colour, outline: Colour | None = None) -> None:
        self._draw.rectangle(self._pixels(box), fill=fill, outline=outline, width=_OVERSAMPLING)

    def ellipse(self, box: Box, fill: Colour) -> None:
        self._draw.ellipse(self._pixels(box), fill=fill)

    def polygon(self, corners: list[tuple[float, float]], fill: Colour) -> None:
        self._draw.polygon([(x * self._side, y * self._side) for x, y in corners], fill=fill)

    def line(self, box: Box, fill: Colour) -> None:
        self._draw.line(self._pixels(box), fill=fill, width=_OVERSAMPLING)

    def _pixels(self, box: Box) -> Box:
        x1, y1, x2, y2 = (share * self._side for share in box)
        return x1, y1, x2, y2


def _draw_roof(brush: _Brush, house: House) -> None:
    eaves, peak, colour = house.eaves, house.peak, house.style.roof_colour
    for x in house.chimneys:
        brush.rectangle((x, peak, x + 0.08, eaves), _shade(colour, 0.7))
    if house.style.roof == "flat":
        brush.rectangle((0.0, eaves - 0.06, 1.0, eaves), colour)
    elif house.style.roof == "gable":
        brush.polygon([(0.0, eaves), (0.5, peak), (1.0, eaves)], colour)
    elif house.style.roof == "mansard":
        brush.polygon([(0.0, eaves), (0.14, peak), (0.86, peak), (1.0, eaves)], colour)
    else:
        for step in range(4):
            top = eaves + (peak - eaves) * (step + 1) / 4
            brush.rectangle((0.02 + 0.12 * step, top, 0.98 - 0.12 * step, eaves), colour)
    if house.medallion is not None:
        middle = (eaves + peak) / 2 + 0.03
        brush.ellipse((house.medallion - 0.05, middle - 0.05, house.medallion + 0.05, middle + 0.05), house.style.trim)


def _draw_texture(brush: _Brush, house: House) -> None:
    if house.style.texture == "plain":
        return
    course = {"brick": 0.045, "boards": 0.06, "stone": 0.11}[house.style.texture]
    joint = _shade(house.style.wall, 0.82)
    for row, y in enumerate(np.arange(house.eaves, 1.0, course)):
        brush.line((0.02, y, 0.98, y), joint)
        if house.style.texture != "boards":
            for x in np.arange(0.02 + course * (row % 2), 0.98, 2 * course):
                brush.line((x, y, x, min(y + course, 1.0)), joint)


def _draw_storey(brush: _Brush, house: House, row: int) -> None:
    """Draw one row of windows, and the door in the lowest."""
    height = (1.0 - house.eaves) / house.style.storeys
    width = 0.92 / house.style.columns
    top = house.eaves + row * height
    lowest = row == house.style.storeys - 1
    for column in range(house.style.columns):
        left = 0.04 + column * width
        if lowest and column == house.door_column:
            brush.rectangle((left + 0.15 * width, top + 0.25 * height, left + 0.85 * width, 1.0), house.door)
            continue
        margin_x, margin_y = (1 - house.window_width) / 2 * width, (1 - house.window_height) / 2 * height
        pane = (left + margin_x, top + margin_y, left + width - margin_x, top + height - margin_y)
        _draw_window(brush, house, pane, closed=(row, column) in house.shuttered)
    if row in house.band_rows:
        brush.rectangle((0.02, top - 0.012, 0.98, top + 0.012), house.style.trim)
    if row == house.balcony_row:
        brush.rectangle((0.06, top + 0.72 * height, 0.94, top + 0.86 * height), _shade(house.style.trim, 0.45))


def _draw_window(brush: _Brush, house: House, pane: Box, *, closed: bool) -> None:
    x1, y1, x2, y2 = pane
    style, fill = house.style, house.shutter if closed else house.style.glass
    if style.window == "round":
        radius, middle = (x2 - x1) / 2, (y1 + y2) / 2
        brush.ellipse((x1 - 0.01, middle - radius - 0.01, x2 + 0.01, middle + radius + 0.01), style.trim)
        brush.ellipse((x1, middle - radius, x2, middle + radius), fill)
        return
    if style.window == "tall":
        x1, x2 = x1 + (x2 - x1) * 0.2, x2 - (x2 - x1) * 0.2
    if style.window == "arched":
        brush.ellipse((x1 - 0.01, y1 - 0.04, x2 + 0.01, y1 + 0.06), style.trim)
        brush.ellipse((x1, y1 - 0.03, x2, y1 + 0.06), fill)
    brush.rectangle((x1 - 0.01, y1 + 0.01, x2 + 0.01, y2 + 0.01), style.trim)
    brush.rectangle((x1, y1 + 0.01, x2, y2), fill)
    if style.window == "crossed":
        brush.line(((x1 + x2) / 2, y1, (x1 + x2) / 2, y2), style.trim)
        brush.line((x1, (y1 + y2) / 2, x2, (y1 + y2) / 2), style.trim)


def _colour(rng: np.random.Generator, *, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return round(red * 255), round(green * 255), round(blue * 255)


def _near(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = (int(np.clip(part + rng.integers(-_SPREAD, _SPREAD + 1), 0, 255)) for part in colour)
    return red, green, blue


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(part * factor) for part in colour)
    return red, green, blue

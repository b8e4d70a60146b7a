"""Invented map positions of the drawn places, since drawings have none."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.datasets.miniature.formats.drawn import DrawnPlace, DrawnSplit

# The published sets lie in UTM zone 17T (Pittsburgh) or 54S (Tokyo), some hundred kilometres into it.
_EAST, _NORTH = 585_005.0, 4_477_005.0
_METRES_APART = 150.0
_SPLITS_APART = 20_000.0
_ROW = 50
_FARTHEST_VIEW = 12.0
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Position:
    """A position in metres east and north, UTM."""

    east: float
    north: float


@dataclass(frozen=True)
class Spot:
    """A view and the position that it was taken from."""

    view: Path
    position: Position


@dataclass(frozen=True)
class PlacedSplit:
    """A split on the map: per place of the database its views; and the queries.

    Formats of places know no junk: the junk views are left out. Queries are no part of the database.
    """

    database: tuple[tuple[Spot, ...], ...]
    queries: tuple[Spot, ...]


def place_split(split: DrawnSplit, number: int) -> PlacedSplit:
    """Put the split number `number` on the map: places 150 m apart, their views within 12 m of them."""
    database: list[tuple[Spot, ...]] = []
    queries: list[Spot] = []
    for index, place in enumerate((*split.places, *split.distractors)):
        views = (*place.asked, *place.answers)
        spots = tuple(_spots(views, _centre(index, number)))
        queries += spots[: len(place.queries)]
        database.append(spots[len(place.queries) :])
    return PlacedSplit(tuple(views for views in database if views), tuple(queries))


def place_training(places: tuple[DrawnPlace, ...]) -> PlacedSplit:
    """Place the training places as split 0; the first view of each is the query."""
    centred = [tuple(_spots(place.good, _centre(index, 0))) for index, place in enumerate(places)]
    return PlacedSplit(tuple(spots[1:] for spots in centred), tuple(spots[0] for spots in centred))


def _centre(index: int, split: int) -> Position:
    """Return a position in the middle of a cell of 10 m, so that most views of a place lie in one cell."""
    row, column = divmod(index, _ROW)
    return Position(_EAST + _METRES_APART * column, _NORTH + _METRES_APART * row + _SPLITS_APART * split)


def _spots(views: tuple[Path, ...], centre: Position) -> Iterator[Spot]:
    """Yield spots along a spiral from the centre, dense in the middle."""
    for step, view in enumerate(views):
        radius = _FARTHEST_VIEW * (step / max(1, len(views) - 1)) ** 2
        east, north = radius * math.cos(step * _GOLDEN_ANGLE), radius * math.sin(step * _GOLDEN_ANGLE)
        yield Spot(view, Position(round(centre.east + east, 2), round(centre.north + north, 2)))

"""Folders of images that carry their position in their name between @ signs, as gmberton's benchmarks do."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from retrieval.datasets.miniature.formats.drawn import Drawn, move
from retrieval.datasets.miniature.formats.map_positions import Position, Spot, place_split, place_training

_NAME = "town"
_ZONE = "17@T"
# One corner of the map in both systems; near it, this is what a metre is in degrees.
_ORIGIN, _LATITUDE, _LONGITUDE = Position(585_000.0, 4_477_000.0), 40.44, -80.0
_DEGREES_NORTH, _DEGREES_EAST = 1 / 111_000, 1 / 84_500


def write_utm(drawn: Drawn, out: Path) -> None:
    """Write `town/images/{train,val,test}/{database,queries}`."""
    numbers = count(1)
    for name, split in (
        ("train", place_training(drawn.training)),
        ("val", place_split(drawn.val, 1)),
        ("test", place_split(drawn.test, 2)),
    ):
        folder = out / _NAME / "images" / name
        _move(folder / "database", (spot for place in split.database for spot in place), numbers)
        _move(folder / "queries", split.queries, numbers)


def _move(folder: Path, spots: Iterable[Spot], numbers: Iterable[int]) -> None:
    for spot, number in zip(spots, numbers, strict=False):
        move(spot.view, folder / utm_name(spot.position, number))


def utm_name(position: Position, number: int) -> str:
    """Return a name that holds a position.

    For example `@0585001.20@4477001.00@17@T@040.44000@-080.00000@pano000001@01@@@@@@@.jpg`.
    """
    latitude = _LATITUDE + (position.north - _ORIGIN.north) * _DEGREES_NORTH
    longitude = _LONGITUDE + (position.east - _ORIGIN.east) * _DEGREES_EAST
    utm = f"{position.east:010.2f}@{position.north:010.2f}@{_ZONE}"
    return f"@{utm}@{latitude:09.5f}@{longitude:010.5f}@pano{number:06d}@01@@@@@@@.jpg"

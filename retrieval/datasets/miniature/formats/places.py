"""Pitts30k and Tokyo 24/7: images with positions, listed in NetVLAD's `dbStruct`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.datasets.miniature.formats.drawn import Drawn, move
from retrieval.datasets.miniature.formats.map_positions import PlacedSplit, Spot, place_split, place_training
from retrieval.datasets.miniature.formats.mat import cells, write_mat

_CUTOUTS = 12
_POSITIVE_METRES, _TRAINING_METRES = 25.0, 10.0
_FIRST_DAY, _YEAR = 735_000.0, 365.0  # days since year 0, as MATLAB counts
_YEARS = 5


@dataclass(frozen=True)
class _Listing:
    """The images of one half of a `dbStruct`: names, metres east and north (2 × N), days since year 0 (N)."""

    names: list[str]
    utm: NDArray[np.float64]
    days: NDArray[np.float64] | None = None


def write_pitts(drawn: Drawn, out: Path, *, name: str) -> None:
    """Write `<name>/{datasets,images,queries}`, `name` being pitts30k or pitts250k."""
    root = out / name
    images, queries = count(), count()
    for part, split in (
        ("train", place_training(drawn.training)),
        ("val", place_split(drawn.val, 1)),
        ("test", place_split(drawn.test, 2)),
    ):
        database = [spot for place in split.database for spot in place]
        halves = _write_views(root / "images", database, images), _write_views(root / "queries", split.queries, queries)
        _write_struct(root / "datasets" / f"{name}_{part}.mat", *halves)


def write_tokyo247(drawn: Drawn, out: Path) -> None:
    """Write `tokyo247` to report on, and `tokyoTM`, which has time stamps, to train and select on.

    The database is panoramas of 12 cutouts, .png files that the .mat calls .jpg.
    """
    _write_panoramas(out / "tokyoTM", "tokyoTM_train", place_training(drawn.training), stamped=True)
    _write_panoramas(out / "tokyoTM", "tokyoTM_val", place_split(drawn.val, 1), stamped=True)
    _write_panoramas(out / "tokyo247", "tokyo247", place_split(drawn.test, 2), stamped=False)


def _write_views(folder: Path, spots: Sequence[Spot], numbers: Iterator[int]) -> _Listing:
    names = [_pitts_name(number) for _, number in zip(spots, numbers, strict=False)]
    for spot, name in zip(spots, names, strict=True):
        move(spot.view, folder / name)
    return _Listing(names, _utm(spots))


def _pitts_name(number: int) -> str:
    """Return a name such as `000/000000_pitch1_yaw1.jpg`."""
    return f"{number // 1000:03d}/{number:06d}_pitch{number % 2 + 1}_yaw{number // 2 % 12 + 1}.jpg"


def _write_panoramas(root: Path, name: str, split: PlacedSplit, *, stamped: bool) -> None:
    cutouts = list(_cutouts(split))
    images = [f"{name}/{number // _CUTOUTS:05d}/{number:012d}.jpg" for number in range(len(cutouts))]
    for spot, file in zip(cutouts, images, strict=True):
        _save_png(spot.view, root / "images" / file)
    queries = [f"{name}/{number:05d}.jpg" for number in range(1, len(split.queries) + 1)]
    # As published: what has time stamps was taken from one collection, and lies in one folder.
    folder = root / ("images" if stamped else "query")
    for spot, file in zip(split.queries, queries, strict=True):
        move(spot.view, folder / file)
    # A panorama was taken from one spot: that of its first cutout.
    utm = np.repeat(_utm(cutouts)[:, ::_CUTOUTS], _CUTOUTS, axis=1)
    database, asked = _Listing(images, utm), _Listing(queries, _utm(split.queries))
    if stamped:
        # Queries are of a year of their own: none of the database is junk to them.
        years = np.arange(len(images), dtype=np.float64) // _CUTOUTS % _YEARS
        database = replace(database, days=np.asarray(_FIRST_DAY + _YEAR * years))
        asked = replace(asked, days=np.full(len(queries), _FIRST_DAY + _YEAR * _YEARS))
    _write_struct(root / "datasets" / f"{name}.mat", database, asked)


def _cutouts(split: PlacedSplit) -> Iterator[Spot]:
    """Yield cutouts panorama by panorama: a place's views repeat until they fill one, distractors share panoramas."""
    alone = [spots for spots in split.database if len(spots) == 1]
    shared = [tuple(spots[0] for spots in alone[at : at + _CUTOUTS]) for at in range(0, len(alone), _CUTOUTS)]
    for spots in (*(spots for spots in split.database if len(spots) > 1), *shared):
        yield from islice(cycle(spots), _CUTOUTS * math.ceil(len(spots) / _CUTOUTS))


def _save_png(view: Path, named: Path) -> None:
    named.parent.mkdir(parents=True, exist_ok=True)
    packed = BytesIO()
    with Image.open(view) as image:
        image.save(packed, format="PNG", compress_level=1)
    named.with_suffix(".png").write_bytes(packed.getvalue())


def _utm(spots: Sequence[Spot]) -> NDArray[np.float64]:
    return np.array([(spot.position.east, spot.position.north) for spot in spots], dtype=np.float64).T


def _write_struct(file: Path, database: _Listing, queries: _Listing) -> None:
    """Write the fields in the published order; time stamps, where there are any, follow the positions."""
    fields: dict[str, Any] = {"whichSet": file.stem.rpartition("_")[2]}
    for prefix, utm_name, half in (("db", "utmDb", database), ("q", "utmQ", queries)):
        fields |= {f"{prefix}ImageFns": cells(half.names), utm_name: half.utm}
        if half.days is not None:
            fields[f"{prefix}TimeStamp"] = half.days[None]
    fields |= {
        "numImages": float(len(database.names)),
        "numQueries": float(len(queries.names)),
        "posDistThr": _POSITIVE_METRES,
        "posDistSqThr": _POSITIVE_METRES**2,
        "nonTrivPosDistSqThr": _TRAINING_METRES**2,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_mat(file, {"dbStruct": fields})

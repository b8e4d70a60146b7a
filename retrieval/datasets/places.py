"""The part that all sets of place recognition share: images with coordinates, where near ones show the same place.

Coordinates are UTM, metres east and north. Letters: N images, Q queries, P pairs.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.base import Images, Indices, Query, RetrievalSet, TrainingSet
from retrieval.datasets.left_out import LeftOut
from retrieval.evaluation.metrics import positives_within

POSITIVE_METRES = 25.0
"""A database image at most so far from a query is a right answer."""
TRAINING_METRES = 10.0
"""A training pair is at most so far apart: images 25 m apart often share no view. Also the side of a class's cell."""


@dataclass(frozen=True, eq=False)
class Places:
    """One split as it lies on disk, with the position of each image.

    Attributes:
        name: of the set and split.
        root: the folder that names are relative to.
        database: names of the database images, in the set's order.
        queries: names of the query images, in the set's order.
        database_N2: metres east and north of the database images.
        query_Q2: metres east and north of the queries.
        times: when database images and queries were taken, or None. Images of one time come from one drive past, which
            shows no place twice.
        left_out: files that lie beside the images and are no part of the split.
    """

    name: str
    root: Path
    database: list[str]
    queries: list[str]
    database_N2: NDArray[np.float64]
    query_Q2: NDArray[np.float64]
    times: tuple[NDArray[Any], NDArray[Any]] | None = None
    left_out: LeftOut = field(default_factory=LeftOut)

    def __post_init__(self) -> None:
        for kind, names, metres in (
            ("database", self.database, self.database_N2),
            ("query", self.queries, self.query_Q2),
        ):
            if metres.shape != (len(names), 2) or not np.isfinite(metres).all():
                raise ValueError(
                    f"{self.name}: {len(names)} {kind} images have coordinates of shape {metres.shape}; "
                    "each needs two finite numbers, metres east and north"
                )


def places_to_rank(places: Places, panorama: int = 1) -> RetrievalSet:
    """Return the split as database and queries: a right answer is at most 25 m away.

    Junk is only what was taken at the query's own time, where times are known. A query without a right answer stays,
    as a miss. Queries are named by their files' names below `root`.
    """
    junk = _at_the_same_time(places)
    positives = _near(places, POSITIVE_METRES)
    return RetrievalSet(
        places.name,
        Images(places.root, places.database),
        tuple(
            Query(name, places.root / name, None, near, same)
            for name, near, same in zip(places.queries, positives, junk, strict=True)
        ),
        protocol="places",
        panorama=panorama,
        coordinates=(places.database_N2, places.query_Q2),
        left_out=places.left_out,
    )


def places_to_train_on(places: Places) -> TrainingSet:
    """Return the split as training images: the database, then the queries, each labelled with its cell.

    Cells are squares of 10 m on the UTM grid, the classes of Berton et al., "Rethinking Visual Geo-localization for
    Large-Scale Applications" (CosPlace), CVPR 2022. Differs from the paper: the heading does not divide a cell's
    images, and neighbouring cells are trained together, not in groups that keep them apart.

    Pairs are every query with every database image at most 10 m away, as Berton et al., "Deep Visual Geo-localization
    Benchmark", CVPR 2022, take them; None where there is no such pair. Where times are known, only pairs of different
    times count (Arandjelović et al., CVPR 2016).
    """
    coordinates_N2 = np.concatenate([places.database_N2, places.query_Q2])
    cells, labels = np.unique(np.floor(coordinates_N2 / TRAINING_METRES), axis=0, return_inverse=True)
    corners = (cells * TRAINING_METRES).astype(np.int64)
    return TrainingSet(
        Images(places.root, places.database + places.queries),
        labels.ravel(),
        tuple(f"{east}E_{north}N" for east, north in corners.tolist()),
        pairs_P2=_pairs(places),
        coordinates_N2=coordinates_N2,
        negative_metres=POSITIVE_METRES,
        left_out=places.left_out,
    )


def _pairs(places: Places) -> Indices | None:
    near = _near(places, TRAINING_METRES)
    queries = np.repeat(np.arange(len(near)), [len(each) for each in near]) + len(places.database)
    return np.stack([queries, np.concatenate(near)], axis=1) if queries.size else None


def _near(places: Places, metres: float) -> list[Indices]:
    """Return, for each query, the database images at most so far away, without those of its own time."""
    near = positives_within(places.database_N2, places.query_Q2, metres)
    if places.times is None:
        return near
    database_N, query_Q = places.times
    return [each[database_N[each] != time] for each, time in zip(near, query_Q, strict=True)]


def _at_the_same_time(places: Places) -> list[Indices]:
    """Return, for each query, the database images of its time; queries of one time share an array."""
    if places.times is None:
        return [np.empty(0, dtype=np.int64)] * len(places.queries)
    database_N, query_Q = places.times
    of_time = {time: np.flatnonzero(database_N == time) for time in np.unique(query_Q)}
    return [of_time[time] for time in query_Q]

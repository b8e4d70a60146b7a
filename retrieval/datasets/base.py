"""What every data set format is read into: database and queries to score, or labelled images to train on."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the stored image, origin at the top left."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Query:
    """One question to the database, and the answers that count.

    `positives` and `junk` are sorted, unique indices into the images of its `RetrievalSet`. Junk is taken out
    of the ranking: neither right nor wrong. Everything else is wrong. `box` is what to cut out of the image
    before asking; None asks with all of it.
    """

    name: str
    path: Path
    box: Box | None
    positives: Indices
    junk: Indices

    def __post_init__(self) -> None:
        for kind, indices in (("positives", self.positives), ("junk", self.junk)):
            if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
                raise ValueError(
                    f"query {self.name!r}: {kind} are {indices.dtype} of shape {indices.shape}; "
                    "they must be one row of integers"
                )
            if np.any(np.diff(indices) <= 0):
                raise ValueError(f"query {self.name!r}: {kind} must be sorted and unique, not {indices.tolist()}")
        both = np.intersect1d(self.positives, self.junk)
        if both.size:
            raise ValueError(f"query {self.name!r}: {both.tolist()} are positives and junk; they can be only one")


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """A database in a fixed order, and the queries to rank it for."""

    name: str
    images: tuple[Path, ...]
    queries: tuple[Query, ...]

    def __post_init__(self) -> None:
        if not self.images or not self.queries:
            raise ValueError(
                f"{self.name}: {len(self.images)} images and {len(self.queries)} queries; "
                "a retrieval set needs at least one of each"
            )
        names = [query.name for query in self.queries]
        if len(set(names)) < len(names):
            repeated = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"{self.name}: query names must be unique, these are not: {name_few(repeated)}")
        for query in self.queries:
            self._check_range(query)

    def _check_range(self, query: Query) -> None:
        indices = np.concatenate([query.positives, query.junk])
        outside = indices[(indices < 0) | (indices >= len(self.images))]
        if outside.size:
            raise ValueError(
                f"{self.name}: query {query.name!r} names database image {int(outside[0])}; "
                f"indices must be in [0, {len(self.images)})"
            )


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images with the class each shows; `labels[i]` is the index in `classes` of what `images[i]` shows."""

    images: tuple[Path, ...]
    labels: Indices
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.images),):
            raise ValueError(
                f"{len(self.images)} images have labels of shape {self.labels.shape}; each needs one label"
            )
        seen = np.unique(self.labels)
        if not np.array_equal(seen, np.arange(len(self.classes))):
            raise ValueError(
                f"the labels use {seen.size} values for {len(self.classes)} classes; "
                f"each of 0 to {len(self.classes) - 1} must occur and nothing else"
            )


def fingerprint(paths: Iterable[Path]) -> str:
    """Sixteen hex digits that change when a file is added, taken away, renamed or resized in bytes.

    The names are relative to the folder common to all, so that a data set keeps its fingerprint when it is
    moved; their order does not matter. Contents are not read: a file overwritten by one of the same length
    goes unseen.
    """
    files = sorted(Path(path).absolute() for path in paths)
    if not files:
        raise ValueError("no files to fingerprint; at least one is needed")
    common = os.path.commonpath([file.parent for file in files])
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(common).as_posix()}\0{file.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def name_few(names: Sequence[str], limit: int = 5) -> str:
    """The names for a message of one line: all of them, or the first `limit` and how many more."""
    listed = ", ".join(names[:limit])
    return listed if len(names) <= limit else f"{listed} and {len(names) - limit} more"

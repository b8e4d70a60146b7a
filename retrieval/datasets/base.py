"""The classes that every data set format is read into: a database with queries, or labelled images to train on.

Letters: N images, Q queries, P pairs.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.left_out import LeftOut
from retrieval.text import name_few

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the picture as it is read (see `ExifOrientation`), origin at the top left."""

ExifOrientation = Literal["apply", "ignore"]
"""Whether a photograph is turned upright as its EXIF orientation asks, or taken as its pixels are stored."""

Indices = NDArray[np.int64]

Protocol = Literal["classic", "revisited", "market", "places"]
"""The rules that score a ranking: see the table in `retrieval.evaluation.evaluate.Evaluation`."""


def _none() -> Indices:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Identities:
    """Who or what a set shows, by names that can be compared with those of another set of the same collection.

    Attributes:
        kept_in: the file or folder in which a name means one thing.
        names: of the classes of training images, or of what queries ask for.
    """

    kept_in: Path
    names: frozenset[str]


class Images(Sequence[Path]):
    """Files below one folder in a fixed order, stored by name.

    A `Path` is made when one is asked for: a million of them at once would take half a gigabyte and seconds.

    Attributes:
        root: the folder.
        names: POSIX names below it.
        left_out: what lies beside them and is no part of the set.
    """

    def __init__(self, root: Path, names: Sequence[str], left_out: LeftOut | None = None) -> None:
        self.root = root
        self.names = tuple(names)
        self.left_out = left_out or LeftOut()

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> "Images": ...
    def __getitem__(self, index: int | slice) -> "Path | Images":
        return Images(self.root, self.names[index]) if isinstance(index, slice) else self.root / self.names[index]


@dataclass(frozen=True, eq=False)
class Query:
    """One query image and its ground truth.

    Indices are sorted, unique, and point into the images of the query's `RetrievalSet`. An image that is neither
    positive nor junk is a wrong answer.

    Attributes:
        name: unique in its set.
        path: the image.
        box: the part of the image that is the query; None takes all of it.
        positives: the right answers; in the revisited benchmarks those of the Medium protocol.
        junk: images that are taken out of the ranking, neither right nor wrong; likewise of Medium.
        hard: the positives that the revisited benchmarks call hard.

    Raises:
        ValueError: indices are no sorted, unique integers, positives are junk, or hard ones no positives.
    """

    name: str
    path: Path
    box: Box | None
    positives: Indices
    junk: Indices
    hard: Indices = field(default_factory=_none)

    def __post_init__(self) -> None:
        for kind, indices in (("positives", self.positives), ("junk", self.junk), ("hard", self.hard)):
            if indices.ndim != 1 or indices.dtype.kind not in "iu":
                raise ValueError(
                    f"query {self.name!r}: {kind} are {indices.dtype} of shape {indices.shape}; "
                    "they must be one row of integers"
                )
            if indices.size > 1 and (indices[1:] <= indices[:-1]).any():
                raise ValueError(f"query {self.name!r}: {kind} must be sorted and unique, not {indices.tolist()}")
        # A data set may have a query an image: what is empty is not looked at.
        both = np.intersect1d(self.positives, self.junk, assume_unique=True) if self.junk.size else self.junk
        if both.size:
            raise ValueError(f"query {self.name!r}: {both.tolist()} are positives and junk; they can be only one")
        strays = np.setdiff1d(self.hard, self.positives, assume_unique=True) if self.hard.size else self.hard
        if strays.size:
            raise ValueError(f"query {self.name!r}: {strays.tolist()} are hard and not positives; they must be both")


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """A database in a fixed order, the queries to rank it for, and the rules that score the rankings.

    Attributes:
        name: of the set, for messages.
        images: the database.
        queries: each with its ground truth.
        protocol: the rules that score a ranking.
        panorama: above 1, so many consecutive images show one place, of which only the best ranked counts (Tokyo 24/7
            in its original protocol).
        cameras: of images and of queries, where positives and junk were made from them; else None.
        coordinates: metres east and north of images N×2 and of queries Q×2, where positives were made from them; else
            None.
        identities: what the queries ask for, where that has names; else None.
        exif_orientation: how images and queries are read.
        left_out: files that lie where the set was read and are no part of it.

    Raises:
        ValueError: images or queries are missing, names repeat, or indices, panoramas, cameras or coordinates do not
            fit the images.
    """

    name: str
    images: Sequence[Path]
    queries: tuple[Query, ...]
    protocol: Protocol = "classic"
    panorama: int = 1
    cameras: tuple[Indices, Indices] | None = None
    coordinates: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    identities: Identities | None = None
    exif_orientation: ExifOrientation = "ignore"
    left_out: LeftOut = field(default_factory=LeftOut)

    def __post_init__(self) -> None:
        if not self.images or not self.queries:
            raise ValueError(
                f"{self.name}: {len(self.images)} images and {len(self.queries)} queries; "
                "a retrieval set needs at least one of each"
            )
        names = [query.name for query in self.queries]
        if len(set(names)) < len(names):
            repeated = [name for name, count in Counter(names).items() if count > 1]
            raise ValueError(f"{self.name}: query names must be unique, these are not: {name_few(repeated)}")
        for query in self.queries:
            self._check_range(query)
        if self.panorama < 1 or len(self.images) % self.panorama:
            raise ValueError(
                f"{self.name}: {len(self.images)} images in panoramas of {self.panorama}; "
                "the images must be a multiple of a panorama's"
            )
        for kind, given in (("cameras", self.cameras), ("coordinates", self.coordinates)):
            if given is not None and [len(each) for each in given] != [len(self.images), len(self.queries)]:
                raise ValueError(f"{self.name}: {kind} of {[len(each) for each in given]} images and queries")

    def _check_range(self, query: Query) -> None:
        count = len(self.images)
        # They are sorted: the first and the last tell for all.
        ends = [int(of[end]) for of in (query.positives, query.junk) if of.size for end in (0, -1)]
        outside = [index for index in ends if not 0 <= index < count]
        if outside:
            raise ValueError(
                f"{self.name}: query {query.name!r} names database image {outside[0]}; indices must be in [0, {count})"
            )


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images with the class that each shows.

    Images of one class are never each other's negatives, nor are images near each other, where there are coordinates.

    Attributes:
        images: in a fixed order.
        labels: for each image, the index of its class in `classes`.
        classes: names.
        pairs_P2: (query, positive) pairs of images that show the same, where a data set names them; None: any two
            images of a class are such a pair.
        coordinates_N2: metres east and north of each image, or None.
        negative_metres: images at most so far from each other are no negatives.
        identities: the classes, where their names can be compared with those of other sets; else None.
        exif_orientation: how the images are read.
        left_out: files that lie where the set was read and are no part of it.

    Raises:
        ValueError: labels, pairs or coordinates do not fit the images or the classes.
    """

    images: Sequence[Path]
    labels: Indices
    classes: tuple[str, ...]
    pairs_P2: Indices | None = None
    coordinates_N2: NDArray[np.float64] | None = None
    negative_metres: float = 25.0
    identities: Identities | None = None
    exif_orientation: ExifOrientation = "ignore"
    left_out: LeftOut = field(default_factory=LeftOut)

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
        self._check_pairs()

    def _check_pairs(self) -> None:
        count = len(self.images)
        if self.coordinates_N2 is not None and self.coordinates_N2.shape != (count, 2):
            raise ValueError(f"{count} images have coordinates of shape {self.coordinates_N2.shape}; each needs two")
        if self.pairs_P2 is None:
            return
        if self.pairs_P2.ndim != 2 or self.pairs_P2.shape[1] != 2 or not len(self.pairs_P2):
            raise ValueError(f"pairs have shape {self.pairs_P2.shape}; P × 2 is right, P at least 1")
        outside = self.pairs_P2[(self.pairs_P2 < 0) | (self.pairs_P2 >= count)]
        if outside.size:
            raise ValueError(f"a pair names image {int(outside[0])}; indices must be in [0, {count})")


def fingerprint(paths: Iterable[Path]) -> str:
    """Return sixteen hex digits that change when a file is added, taken away, renamed or resized in bytes.

    The names are relative to the folder common to all, so that a data set keeps its fingerprint when it is
    moved; their order does not matter. Contents are not read: a file overwritten by one of the same length
    goes unseen.

    Args:
        paths: the files.

    Raises:
        ValueError: there are none.
    """
    files = sorted(Path(path).absolute() for path in paths)
    if not files:
        raise ValueError("no files to fingerprint; at least one is needed")
    common = os.path.commonpath([file.parent for file in files])
    digest = hashlib.sha256()
    for file in files:
        # Names are bytes on disk, and may be no valid text.
        digest.update(os.fsencode(f"{file.relative_to(common).as_posix()}\0{file.stat().st_size}\n"))
    return digest.hexdigest()[:16]

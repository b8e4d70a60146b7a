"""retrieval-SfM-120k: training images under hashed names, and pairs of them in pickles (cirtorch's training data)."""

import hashlib
import pickle
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.datasets.miniature.formats.drawn import Drawn, DrawnPlace, DrawnSplit, move

_NAME = "retrieval-SfM-120k"
_PROTOCOL = 2  # of the published files, which Python 2 wrote


@dataclass
class _Database:
    """The lists of one split in the pickle; `cluster` is the place that an image shows."""

    cids: list[str] = field(default_factory=list)
    cluster: list[int] = field(default_factory=list)
    qidxs: list[int] = field(default_factory=list)
    pidxs: list[int] = field(default_factory=list)

    def add(self, image: Path, place: int) -> int:
        """List an image under its hash; returns its index."""
        self.cids.append(_hashed(image))
        self.cluster.append(place)
        return len(self.cids) - 1

    def pair(self, query: int, positive: int) -> None:
        """List two images that show the same place."""
        self.qidxs.append(query)
        self.pidxs.append(positive)

    def published(self) -> dict[str, Any]:
        """Return the database as it is pickled: lists and arrays both occur in the published files."""
        pairs = {"qidxs": np.array(self.qidxs, dtype=np.int64), "pidxs": self.pidxs}
        return {"cids": self.cids, "cluster": np.array(self.cluster, dtype=np.int64), **pairs}


def write_sfm(drawn: Drawn, out: Path) -> None:
    """Write `<out>/train/retrieval-SfM-120k` from the training places and, as its `val`, the validation split."""
    root = out / "train" / _NAME
    train = _training_pairs(drawn.training)
    val = _query_pairs(drawn.val)
    root.mkdir(parents=True)
    _dump(root / f"{_NAME}.pkl", {"train": train.published(), "val": val.published()})
    whiten = {key: value for key, value in train.published().items() if key != "cluster"}
    _dump(root / f"{_NAME}-whiten.pkl", whiten)
    for image in _images(drawn):
        move(image, _hashed_path(root, image))


def _training_pairs(places: tuple[DrawnPlace, ...]) -> _Database:
    """Return the training database: each view is a query for the next one of its place."""
    database = _Database()
    for number, place in enumerate(places):
        indices = [database.add(view, number) for view in place.good]
        for query, positive in pairwise(indices):
            database.pair(query, positive)
    return database


def _query_pairs(split: DrawnSplit) -> _Database:
    """Return the queries of the split, each paired with every good and ok view except itself."""
    database = _Database()
    for number, place in enumerate(split.places):
        index_of = {view: database.add(view, number) for view in sorted((*place.good, *place.ok, *place.junk))}
        for asked in place.asked:
            for answer in sorted({*place.good, *place.ok} - {asked}):
                database.pair(index_of[asked], index_of[answer])
    for number, place in enumerate(split.distractors, start=len(split.places)):
        database.add(place.good[0], number)
    return database


def _images(drawn: Drawn) -> list[Path]:
    places = (*drawn.training, *drawn.val.places, *drawn.val.distractors)
    return [view for place in places for view in (*place.good, *place.ok, *place.junk)]


def _hashed(image: Path) -> str:
    return hashlib.sha1(image.stem.encode(), usedforsecurity=False).hexdigest()


def _hashed_path(root: Path, image: Path) -> Path:
    name = _hashed(image)
    return root / "ims" / name[-2:] / name[-4:-2] / name[-6:-4] / name


def _dump(file: Path, content: dict[str, Any]) -> None:
    with file.open("wb") as stream:
        pickle.dump(content, stream, protocol=_PROTOCOL)

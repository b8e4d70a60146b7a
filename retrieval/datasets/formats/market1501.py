"""Market-1501, people seen by six cameras, and any set whose files are named by its rule.

<root>/bounding_box_train/   people to train on
<root>/bounding_box_test/    the database: other people, background (pid 0) and junk (pid -1)
<root>/query/                one image a person and camera
<root>/images/               the 500,000 distractors, where they were fetched

`0002_c1s1_000451_03.jpg` shows person 2 (the pid) before camera 1. The folders may also lie in the one that the archive
makes, `Market-1501-v15.09.15/`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Images, Indices, Query, RetrievalSet, TrainingSet
from retrieval.datasets.format import Distractors, Format, Reading, Source, fixed_splits
from retrieval.datasets.listing import list_folder
from retrieval.text import name_few

_INNER = ("", "Market-1501-v15.09.15", "market1501")
_TRAIN, _TEST, _QUERY, _DISTRACTORS = "bounding_box_train", "bounding_box_test", "query", "images"
_SUFFIXES = (".jpg",)  # Thumbs.db lies between the images
_NAME = re.compile(r"(?:.*/)?(-1|\d{1,9})_c([1-9]\d{0,4})")
_JUNK, _NOBODY = -1, 0
_HELD_OUT = 7


@dataclass(frozen=True, eq=False)
class _Sightings:
    """Names below the root, and who is seen on each by which camera, counted from 0."""

    names: list[str]
    pids_N: Indices
    cameras_N: Indices

    def only(self, wanted: np.ndarray) -> "_Sightings":
        """Return some of the sightings: `wanted` holds their indices, or a boolean for each."""
        chosen = np.arange(len(self.names))[wanted]
        return _Sightings([self.names[i] for i in chosen], self.pids_N[chosen], self.cameras_N[chosen])

    def and_then(self, more: "_Sightings") -> "_Sightings":
        return _Sightings(
            self.names + more.names,
            np.concatenate([self.pids_N, more.pids_N]),
            np.concatenate([self.cameras_N, more.cameras_N]),
        )


def load_market(root: Path, split: str = "test", distractors: bool = False) -> RetrievalSet:
    """Read the database and queries by the rules of Zheng et al., "Scalable Person Re-identification", ICCV 2015.

    Positives show the query's person before another camera, junk the same person before the same one. Of the database's
    images those of pid -1 are left out: they are junk to every query, so no ranking changes, and need not be described.
    Images of pid 0 stay, as wrong answers. `distractors` adds the images of `images/` after the others.

    The split `val` is ours, to search by without a look at the test: every 7th training identity in the order of pids,
    beginning with the first. All their images are the database; the first of each before each camera is a query too,
    and junk to itself by the rule above.

    Args:
        root: the folder of the set.
        split: `test`, or `val`.
        distractors: whether the images of `images/` are added.

    Raises:
        ValueError: a folder is missing or empty, files are not named by the rule, or a query shows nobody; one line.
    """
    if split == "test":
        database, queries = _read(root, _TEST), _read(root, _QUERY)
    elif split == "val":
        people = _people(root)
        database = people.only(_held_out(people.pids_N))
        queries = database.only(_first_of_each(database))
    else:
        raise ValueError(f"{root}: split {split!r} has no queries; test or val is right")
    if distractors:
        # The base database keeps its indices.
        database = database.and_then(_read(root, _DISTRACTORS))
    return _retrieval_set("market1501" if split == "test" else f"market1501_{split}", root, database, queries)


def load_market_training(root: Path, split: str = "train") -> TrainingSet:
    """Read the training images, an identity a class, in the order of pids; images of nobody (pid 0, -1) are left out.

    `train` is without the identities that `load_market` holds out for `val`; `train_all` is all, as published figures
    are trained.

    Args:
        root: the folder of the set.
        split: `train` or `train_all`.

    Raises:
        ValueError: as `load_market`, and when no identity is left.
    """
    if split not in ("train", "train_all"):
        raise ValueError(f"{root}: split {split!r} is not for training; train or train_all is right")
    people = _people(root)
    if split == "train":
        people = people.only(~_held_out(people.pids_N))
    if not people.names:
        raise ValueError(f"{root}: {_TRAIN} shows one identity, held out for validation; train_all is right")
    pids, labels = np.unique(people.pids_N, return_inverse=True)
    return TrainingSet(Images(root, people.names), labels, tuple(f"{pid:04d}" for pid in pids))


def _find(root: Path, folder: str) -> str:
    """Return the name below `root` of a folder that lies there or in a folder that the archive makes."""
    names = (f"{inner}/{folder}" if inner else folder for inner in _INNER)
    inside = next((name for name in names if (root / name).is_dir()), None)
    if inside is None:
        raise ValueError(f"{root} holds no {folder}/; it must lie there or in {_INNER[1]}/")
    return inside


def _read(root: Path, folder: str) -> _Sightings:
    """Return all images of a folder except those of pid -1."""
    inside = _find(root, folder)
    names = list_folder(root, inside, _SUFFIXES)
    if not names:
        raise ValueError(f"{root / inside} holds no .jpg file; it must hold images of people")
    matches = [_NAME.match(name) for name in names]
    strange = [name for name, match in zip(names, matches, strict=True) if match is None]
    if strange:
        raise ValueError(
            f"{root} holds {len(strange)} images whose names do not tell person and camera: {name_few(strange)}; "
            "0002_c1s1_000451_03.jpg would be right"
        )
    numbers_N2 = np.array([match.groups() for match in matches if match], dtype=np.int64)
    sightings = _Sightings(names, numbers_N2[:, 0], numbers_N2[:, 1] - 1)
    return sightings.only(sightings.pids_N != _JUNK)


def _people(root: Path) -> _Sightings:
    sightings = _read(root, _TRAIN)
    people = sightings.only(sightings.pids_N > _NOBODY)
    if not people.names:
        raise ValueError(f"{root}: {_TRAIN} shows nobody, all pids are 0 or -1; identities from 1 on are needed")
    return people


def _held_out(pids_N: Indices) -> np.ndarray:
    return np.isin(pids_N, np.unique(pids_N)[::_HELD_OUT])


def _first_of_each(people: _Sightings) -> Indices:
    """Return the first image by name of each person before each camera."""
    _, first = np.unique(np.stack([people.pids_N, people.cameras_N], axis=1), axis=0, return_index=True)
    return np.sort(first)


def _retrieval_set(name: str, root: Path, database: _Sightings, queries: _Sightings) -> RetrievalSet:
    nobody = [query for query, pid in zip(queries.names, queries.pids_N, strict=True) if pid <= _NOBODY]
    if nobody:
        raise ValueError(f"{root}: {len(nobody)} queries show nobody: {name_few(nobody)}; pids from 1 on are right")
    # Stable, so that the images of a person keep their order.
    order = np.argsort(database.pids_N, kind="stable")
    sorted_pids = database.pids_N[order]
    starts = np.searchsorted(sorted_pids, queries.pids_N, side="left")
    ends = np.searchsorted(sorted_pids, queries.pids_N, side="right")
    asked = []
    for query, camera, start, end in zip(queries.names, queries.cameras_N, starts, ends, strict=True):
        same = order[start:end]
        beside = database.cameras_N[same] == camera
        stem = query.rpartition("/")[2].rpartition(".")[0]
        asked.append(Query(stem, root / query, None, positives=same[~beside], junk=same[beside]))
    return RetrievalSet(
        name,
        Images(root, database.names),
        tuple(asked),
        protocol="market",
        cameras=(database.cameras_N, queries.cameras_N),
    )


def _find_sign(path: Path) -> Path | None:
    """Return `bounding_box_test/`, in `path` or in the inner folder that the archive makes."""
    folders = (path / inner / _TEST for inner in _INNER)
    return next((folder for folder in folders if folder.is_dir()), None)


def _with_distractors(path: Path, source: Source) -> Source:
    """Return the source with the distractors of the test split, where `images/` lies beside the sign."""
    sign = _find_sign(path)
    fetched = source.split == "test" and sign is not None and (sign.parent / _DISTRACTORS).is_dir()
    return source.model_copy(update={"distractors": _DISTRACTORS}) if fetched else source


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    if source.distractors not in (None, _DISTRACTORS):
        raise ValueError(
            f"{path}: distractors are {source.distractors!r}; those of Market-1501 are its 'images' folder"
        )
    return load_market(path, split, distractors=source.distractors is not None)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_market_training(path, split)


FORMAT = Format(
    name="market1501",
    title="Market-1501 layout",
    layout="bounding_box_train/, bounding_box_test/ and query/",
    find_sign=_find_sign,
    queries=Reading(_load, "test", fixed_splits("test", "val")),
    training=Reading(_load_training, "train", fixed_splits("train", "train_all")),
    precedence=30,
    distractors=Distractors.READ_BY_FORMAT,
    class_noun="identities",
    complete=_with_distractors,
)

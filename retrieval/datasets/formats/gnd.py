"""Landmark ground truth in one file: Oxford5k and Paris6k, and their revisited versions ROxford and RParis.

<root>/gnd_<name>.pkl, or its twin gnd_<name>.mat
<root>/jpg/<image>.jpg

Either holds `imlist`, the database in order; `qimlist`, the query images (or `qidx`, which of the database they are);
and `gnd`, for each query the box `bbx` and indices into `imlist`: `ok` and `junk`, or `easy`, `hard` and `junk`.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.datasets.base import Box, Images, Indices, Query, RetrievalSet
from retrieval.datasets.format import Distractors, Format, Reading, Source, first_match
from retrieval.datasets.image_files import index_by_stem, list_images
from retrieval.datasets.left_out import UNLISTED, LeftOut
from retrieval.datasets.missing import MissingImagesError
from retrieval.datasets.safe_readers.matlab import read_variables, strings, struct_rows
from retrieval.datasets.safe_readers.restricted_pickle import load_pickle
from retrieval.text import name_few

_CLASSIC, _REVISITED = ("ok", "junk"), ("easy", "hard", "junk")
_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class _Answers:
    """Box and answers of one query, indices from 0."""

    box: Box | None
    indices: Mapping[str, Indices]


@dataclass(frozen=True)
class _Truth:
    """A whole file, whichever of the two kinds it is."""

    file: Path
    images: list[str]
    queries: list[str]
    answers: list[_Answers]


def load_gnd(root: Path, name: str | None = None) -> RetrievalSet:
    """Read `gnd_<name>.pkl` or `.mat` in `root`; without a name the only one, the pickle where both twins are there.

    By the keys the set is *classic* (Philbin et al., CVPR 2007), with positives `ok`, or *revisited* (Radenović et al.,
    CVPR 2018): its positives are `easy` ∪ `hard`, which with `junk` is the Medium protocol, and `Query.hard` tells them
    apart. The revisited lists do not have the query images in the database. Queries are named by their images, with #2
    and so on where an image is asked about again. An image is `<name>.jpg`, or whatever other image of that name there
    is, in `jpg` or a folder below it: of several the first of `image_files.index_by_stem`.

    The .mat counts images from 1. Its boxes, like those of the pickle, count pixels from 0.

    Args:
        root: the folder of the set.
        name: of the file between `gnd_` and its suffix.

    Raises:
        ValueError: the file is missing or damaged, a key, an index or a box is wrong, or it names images that are not
            there; one line, with the file.
    """
    file = _find(root, name)
    truth = _read_pickle(file) if file.suffix == ".pkl" else _read_mat(file)
    if not len(truth.queries) == len(truth.answers) > 0:
        raise ValueError(
            f"{file} has {len(truth.queries)} query images and ground truth for {len(truth.answers)}; "
            "as many of each are right, and at least one"
        )
    listed = list_images(root / "jpg")
    paths = _paths_of(truth, root / "jpg", listed.names)
    images = Images(root / "jpg", [paths[image] for image in truth.images])
    revisited = ["easy" in answers.indices for answers in truth.answers]
    if any(revisited) != all(revisited):
        raise ValueError(
            f"{file} has the key easy for {sum(revisited)} of {len(revisited)} queries; all or none is right"
        )
    try:
        queries = tuple(
            _query(label, root / "jpg" / paths[image], answers)
            for label, image, answers in zip(_labels(truth.queries), truth.queries, truth.answers, strict=True)
        )
        return RetrievalSet(
            name=file.stem.removeprefix("gnd_"),
            images=images,
            queries=queries,
            protocol="revisited" if all(revisited) else "classic",
            left_out=listed.left_out + LeftOut.of(UNLISTED, sorted(set(listed.names) - set(paths.values()))),
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _find(root: Path, name: str | None) -> Path:
    """Return the file to read: the one of that name, or the only one there is."""
    files = [path for suffix in ("pkl", "mat") for path in sorted(root.glob(f"gnd_*.{suffix}"))]
    if name is not None:
        files = [path for path in files if path.stem == f"gnd_{name}"]
    if not files:
        raise ValueError(f"{root} holds no gnd_{name or '<name>'}.pkl or .mat; it must hold the ground truth")
    names = sorted({path.stem for path in files})
    if len(names) > 1:
        raise ValueError(f"{root} holds {len(names)} ground truths: {name_few(names)}; name one of them")
    return files[0]


def _read_pickle(file: Path) -> _Truth:
    content = load_pickle(file)
    if not isinstance(content, dict) or not {"imlist", "qimlist", "gnd"} <= content.keys():
        held = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{file} holds {held}; it must hold a dict of imlist, qimlist and gnd")
    if not isinstance(content["gnd"], list | tuple) or not all(isinstance(each, dict) for each in content["gnd"]):
        raise ValueError(f"{file}: gnd must be a list of dicts, one a query")
    return _Truth(
        file,
        _texts(file, "imlist", content["imlist"]),
        _texts(file, "qimlist", content["qimlist"]),
        [_answers(file, number, each, first=0) for number, each in enumerate(content["gnd"])],
    )


def _read_mat(file: Path) -> _Truth:
    variables = read_variables(file)
    if "imlist" not in variables or not {"qimlist", "qidx"} & variables.keys():
        raise ValueError(f"{file} holds {sorted(variables)}; it must hold imlist, qimlist or qidx, and gnd")
    try:
        images = strings(variables["imlist"])
        if "qimlist" in variables:
            queries = strings(variables["qimlist"])
        else:
            asked = _whole(variables["qidx"]) - 1
            queries = [images[index] for index in _in_range(asked, len(images))]
    except ValueError as error:
        raise ValueError(f"{file}: imlist, qimlist or qidx: {error}") from error
    rows = struct_rows(file, variables, "gnd")
    return _Truth(file, images, queries, [_answers(file, number, row, first=1) for number, row in enumerate(rows)])


def _texts(file: Path, key: str, names: Any) -> list[str]:
    texts = list(names) if isinstance(names, list | tuple) or np.ndim(names) == 1 else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{file}: {key} must be a list of texts, at least one")
    return [str(text) for text in texts]


def _answers(file: Path, number: int, entry: Mapping[str, Any], first: int) -> _Answers:
    """Return one entry of gnd; `first` is the index that the file gives to the first image."""
    kinds = _REVISITED if {"easy", "hard"} <= entry.keys() else _CLASSIC
    if kinds[0] not in entry:
        held = sorted(map(str, entry))
        raise ValueError(f"{file}: query {number} has {held}; ok and junk, or easy, hard and junk are needed")
    try:
        indices = {kind: np.unique(_whole(entry[kind])) - first for kind in kinds if kind in entry}
        return _Answers(_box(entry.get("bbx")), indices)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: query {number}: {error}") from error


def _whole(values: Any) -> Indices:
    """Return a row of integers from a list or array of any shape and number type."""
    array = np.asarray(values).ravel()
    if array.size == 0:
        return _NONE
    if array.dtype.kind not in "iuf" or not np.array_equal(array, np.floor(array)) or not np.all(np.abs(array) < 2**53):
        raise ValueError(f"indices are {array.dtype}; they must be whole numbers")
    return array.astype(np.int64)


def _in_range(indices: Indices, count: int) -> Indices:
    outside = indices[(indices < 0) | (indices >= count)]
    if outside.size:
        raise ValueError(f"index {int(outside[0])}, counted from 0, is outside of {count} images")
    return indices


def _box(corners: Any) -> Box | None:
    """Return the box; None where there is none, as in sets whose queries are whole images."""
    values = [] if corners is None else np.asarray(corners, dtype=np.float64).ravel().tolist()
    if not values:
        return None
    if len(values) != 4 or not all(map(math.isfinite, values)) or not (values[0] < values[2] and values[1] < values[3]):
        raise ValueError(f"bbx is {values}; [x1, y1, x2, y2] with x1 < x2 and y1 < y2 is right")
    return values[0], values[1], values[2], values[3]


def _paths_of(truth: _Truth, folder: Path, names: list[str]) -> dict[str, str]:
    """Return the file of every image that is named, out of those below `folder`."""
    there, by_stem = set(names), index_by_stem(names)
    paths: dict[str, str] = {}
    missing: dict[str, None] = {}
    for image in (*truth.images, *truth.queries):
        # The published lists have no suffix, those of other sets do.
        path = next((path for path in (f"{image}.jpg", image) if path in there), by_stem.get(image))
        if path is None:
            missing[image] = None
        else:
            paths[image] = path
    if missing:
        raise MissingImagesError(
            f"{truth.file} names {len(missing)} images that are not in {folder}: {name_few(list(missing))}; "
            "each name needs its <name>.jpg",
            [folder / f"{image}.jpg" for image in missing],
            Images(folder, list(dict.fromkeys(paths.values()))),
        )
    return paths


def _labels(images: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    labels = []
    for image in images:
        seen[image] += 1
        labels.append(image if seen[image] == 1 else f"{image}#{seen[image]}")
    return labels


def _query(label: str, path: Path, answers: _Answers) -> Query:
    easy = answers.indices["easy" if "easy" in answers.indices else "ok"]
    hard = answers.indices.get("hard", _NONE)
    both = np.intersect1d(easy, hard)
    if both.size:
        raise ValueError(f"query {label!r}: {both.tolist()} are easy and hard; they can be only one")
    return Query(
        name=label,
        path=path,
        box=answers.box,
        positives=np.union1d(easy, hard),
        junk=answers.indices.get("junk", _NONE),
        hard=hard,
    )


def _find_sign(path: Path) -> Path | None:
    """Return `gnd_<name>.pkl`, or else `.mat`."""
    if path.is_file():
        return path if path.name.startswith("gnd_") and path.suffix in (".pkl", ".mat") else None
    return first_match(path, "gnd_*.pkl") or first_match(path, "gnd_*.mat")


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_gnd(path.parent, path.stem.removeprefix("gnd_")) if path.is_file() else load_gnd(path)


def _title_of(retrieval_set: RetrievalSet) -> str:
    """Return a title with the benchmark's rules, which only the keys of the file tell."""
    return f"{retrieval_set.protocol} ground truth"


FORMAT = Format(
    name="gnd",
    title="ground truth in one file",
    layout="jpg/ and gnd_<name>.pkl or .mat",
    find_sign=_find_sign,
    queries=Reading(_load),
    precedence=20,
    distractors=Distractors.ADDED,
    set_names={"roxford5k": "ROxford5k", "rparis6k": "RParis6k"},
    title_of=_title_of,
)

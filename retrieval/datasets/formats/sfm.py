"""retrieval-SfM: pictures from the web that the same 3-D model was built from, in pairs, to train on.

<root>/<name>.pkl                        <name> is retrieval-SfM-120k or retrieval-SfM-30k, and so is the root
<root>/ims/<ef>/<cd>/<ab>/<...abcdef>    no suffix; of the 30k often a link to those of the 120k

The pickle has two databases, train and val, each of `cids` (the names), `cluster` (the model an image belongs to),
`qidxs` and `pidxs` (pairs that show the same, as indices into `cids`).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.datasets.base import Images, Indices, Query, RetrievalSet, TrainingSet
from retrieval.datasets.format import Format, Reading, Source, fixed_splits
from retrieval.datasets.missing import MissingImagesError
from retrieval.datasets.safe_readers.restricted_pickle import load_pickle
from retrieval.text import name_few

_KEYS = ("cids", "cluster", "qidxs", "pidxs")


@dataclass(frozen=True, eq=False)
class _Database:
    file: Path
    names: list[str]
    images: Images
    clusters_N: Indices
    pairs_P2: Indices


def image_name(name: str) -> str:
    """Return an image's path below the root: in folders by its name's last six letters, the last two first."""
    return f"ims/{name[-2:]}/{name[-4:-2]}/{name[-6:-4]}/{name}"


def load_sfm_training(root: Path, split: str = "train") -> TrainingSet:
    """Read one database to train on: classes are the 3-D models, pairs are (query, positive) as they are listed.

    From Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2018. Negatives are images
    of other models, which is what classes say.

    Args:
        root: the folder of the set.
        split: `train` or `val`.

    Raises:
        ValueError: the file is missing, damaged or of another form, has no such split, or names images that are not
            there; one line, with the file.
    """
    database = _read(root, split)
    models, labels = np.unique(database.clusters_N, return_inverse=True)
    return TrainingSet(database.images, labels, tuple(str(model) for model in models), pairs_P2=database.pairs_P2)


def load_sfm_queries(root: Path, split: str = "val") -> RetrievalSet:
    """Read one database to search in: each image that is the query of a pair, to find those it is paired with.

    The rest of its 3-D model is junk, and so is the query itself: a model holds pictures of all its sides, and only
    the pairs are known to show the same. Differs from the paper: it does not rank its validation images, but takes the
    loss over their tuples.

    Args:
        root: the folder of the set.
        split: `val` or `train`.

    Raises:
        ValueError: as `load_sfm_training`.
    """
    database = _read(root, split)
    # Both stable, so that pairs of a query and images of a model are slices.
    pairs_P2 = database.pairs_P2[np.argsort(database.pairs_P2[:, 0], kind="stable")]
    queries, starts = np.unique(pairs_P2[:, 0], return_index=True)
    by_model = np.argsort(database.clusters_N, kind="stable")
    models_N = database.clusters_N[by_model]
    asked = []
    for query, positives in zip(queries.tolist(), np.split(pairs_P2[:, 1], starts[1:]), strict=True):
        answers = np.setdiff1d(positives, [query])
        model = database.clusters_N[query]
        beside = by_model[np.searchsorted(models_N, model) : np.searchsorted(models_N, model, side="right")]
        junk = np.setdiff1d(beside, answers)
        asked.append(Query(database.names[query], database.images[query], None, positives=answers, junk=junk))
    try:
        return RetrievalSet(f"{root.resolve().name}_{split}", database.images, tuple(asked))
    except ValueError as error:
        raise ValueError(f"{database.file}: {error}") from error


def _read(root: Path, split: str) -> _Database:
    file = _find(root)
    content = load_pickle(file)
    if not isinstance(content, dict) or not isinstance(content.get(split), dict):
        held = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{file} holds {held}; it must hold a dict with the split {split!r}")
    lacking = [key for key in _KEYS if key not in content[split]]
    if lacking:
        raise ValueError(f"{file}: split {split!r} lacks {', '.join(lacking)}; {', '.join(_KEYS)} are needed")
    cids = content[split]["cids"]
    names = list(cids) if isinstance(cids, list | tuple) or np.ndim(cids) == 1 else []
    if not names or not all(isinstance(name, str) and _is_plain(name) for name in names):
        raise ValueError(f"{file}: cids of split {split!r} must be names of six letters or more, at least one")
    clusters, queries, positives = (_row(file, key, content[split][key]) for key in _KEYS[1:])
    _check_lengths(file, len(names), clusters, queries, positives)
    images = Images(root, [image_name(name) for name in names])
    _check_images(file, images)
    return _Database(file, names, images, clusters, np.stack([queries, positives], axis=1))


def _is_plain(name: str) -> bool:
    """Return whether a name is long enough to make folders of its letters and leads out of none."""
    return len(name) >= 6 and "/" not in name and ".." not in name


def _find(root: Path) -> Path:
    """Return the pickle named as the folder, or else the only one that is not for whitening."""
    named = root / f"{root.resolve().name}.pkl"
    if named.is_file():
        return named
    candidates = [path for path in sorted(root.glob("*.pkl")) if not path.stem.endswith("-whiten")]
    if len(candidates) != 1:
        raise ValueError(
            f"{root} holds {len(candidates)} lists of images; it must hold {named.name}, or one other .pkl file"
        )
    return candidates[0]


def _row(file: Path, key: str, values: Any) -> Indices:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{file}: {key} are rows of unequal length; they must be one row of integers") from error
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{file}: {key} are {array.dtype} of shape {array.shape}; they must be one row of integers")
    return array.astype(np.int64)


def _check_lengths(file: Path, count: int, clusters: Indices, queries: Indices, positives: Indices) -> None:
    if clusters.size != count:
        raise ValueError(f"{file} has {clusters.size} clusters for {count} images; each image needs one")
    if not queries.size == positives.size > 0:
        raise ValueError(f"{file} has {queries.size} qidxs and {positives.size} pidxs; as many of each are needed")
    both = np.concatenate([queries, positives])
    outside = both[(both < 0) | (both >= count)]
    if outside.size:
        raise ValueError(f"{file}: a pair names image {int(outside[0])}; indices must be in [0, {count})")


def _check_images(file: Path, images: Images) -> None:
    # Each lies almost alone in a folder of its own, so that asking for each is quicker than listing the folders.
    missing = [name for name in images.names if not os.path.isfile(os.path.join(images.root, name))]
    if missing:
        raise MissingImagesError(
            f"{file} names {len(missing)} images that are not in {images.root}: {name_few(missing)}; "
            "unpack ims/ there, or link it there",
            [images.root / name for name in missing],
            Images(images.root, sorted(set(images.names) - set(missing))),
        )


def _find_sign(path: Path) -> Path | None:
    """Return `retrieval-SfM-….pkl` of training pairs; `-whiten.pkl` lists images for the whitening alone."""
    files = (file for file in sorted(path.glob("retrieval-SfM-*.pkl")) if not file.stem.endswith("-whiten"))
    return next(files, None)


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_sfm_queries(path, split)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_sfm_training(path, split)


FORMAT = Format(
    name="sfm",
    title="retrieval-SfM training pairs",
    layout="retrieval-SfM-<size>.pkl and ims/",
    find_sign=_find_sign,
    queries=Reading(_load, "val", fixed_splits("val", "train")),
    training=Reading(_load_training, "train", fixed_splits("train", "val")),
    precedence=60,
    class_noun="3D models",
)

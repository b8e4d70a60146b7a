"""Places whose coordinates stand in the names of their images, the common format of place recognition.

<root>/images/{train,val,test}/{database,queries}/**/@<east>@<north>@<zone>@<letter>@...@.jpg
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.base import RetrievalSet, TrainingSet
from retrieval.datasets.format import SPLITS, Format, Reading, Source
from retrieval.datasets.image_files import list_images
from retrieval.datasets.places import Places, places_to_rank, places_to_train_on
from retrieval.text import name_few


def load_utm_folder(root: Path, split: str = "test") -> RetrievalSet:
    """Read a split to rank, images in the order of their paths; right answers are at most 25 m away.

    Only the first two fields of a name are read: metres east and north.

    Args:
        root: the folder of the set.
        split: `train`, `val` or `test`.

    Raises:
        ValueError: a folder is missing or holds no image, or a name has no coordinates; one line.
    """
    return places_to_rank(_read(root, split, needs_queries=True))


def load_utm_training(root: Path, split: str = "train") -> TrainingSet:
    """Read a split to train on: see `places_to_train_on`. The folder `queries` may be missing.

    Args:
        root: the folder of the set.
        split: `train`, `val` or `test`.

    Raises:
        ValueError: as `load_utm_folder`.
    """
    return places_to_train_on(_read(root, split, needs_queries=False))


def _read(root: Path, split: str, *, needs_queries: bool) -> Places:
    base = root / "images" / split
    database, queries = (list_images(base / folder).below(folder) for folder in ("database", "queries"))
    for folder, listed, needed in (("database", database, True), ("queries", queries, needs_queries)):
        if needed and not listed.names:
            raise ValueError(f"{base / folder} is missing or holds no image; it must hold @<east>@<north>@...@.jpg")
    return Places(
        f"{root.resolve().name}_{split}",
        base,
        database.names,
        queries.names,
        _coordinates(base, database.names),
        _coordinates(base, queries.names),
        left_out=database.left_out + queries.left_out,
    )


def _coordinates(base: Path, names: list[str]) -> NDArray[np.float64]:
    """Return metres east and north, N×2."""
    metres, strange = [], []
    for name in names:
        # Only the file's name is split: a folder above it may have an @ too.
        fields = name.rpartition("/")[2].split("@")
        try:
            metres.append((float(fields[1]), float(fields[2])))
        except (IndexError, ValueError):
            strange.append(name)
    if strange:
        raise ValueError(
            f"{base} holds {len(strange)} images without coordinates in their names: {name_few(strange)}; "
            "@<east>@<north>@...@.jpg in metres would be right"
        )
    return np.array(metres, dtype=np.float64).reshape(-1, 2)


def _splits(path: Path) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if (path / "images" / split / "database").is_dir())


def _find_sign(path: Path) -> Path | None:
    """Return `images/<split>/database/` of the first split that is there."""
    return next((path / "images" / split / "database" for split in _splits(path)), None)


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_utm_folder(path, split)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_utm_training(path, split)


FORMAT = Format(
    name="utm",
    title="@UTM@ folders of place recognition",
    layout="images/{train,val,test}/{database,queries}/",
    find_sign=_find_sign,
    queries=Reading(_load, "test", _splits),
    training=Reading(_load_training, "train", _splits),
    precedence=50,
    class_noun="cells of 10 m",
)

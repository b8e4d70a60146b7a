"""Any data set: a Parquet file that lists images, what each shows, and the split it belongs to."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Identities, Images, Indices, Query, RetrievalSet, TrainingSet
from retrieval.datasets.format import Distractors, Format, Reading, Source, first_match
from retrieval.datasets.left_out import LeftOut
from retrieval.datasets.listing import check_inside, check_on_disk, find_on_disk, list_unnamed
from retrieval.text import name_few


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one split: paths below the manifest's folder, and labels as indices into those of the whole file."""

    paths: list[str]
    labels_N: Indices


@dataclass(frozen=True, eq=False)
class _Manifest:
    file: Path
    paths: list[str]
    labels_N: Indices
    classes: tuple[str, ...]
    splits: list[str]

    def rows(self, split: str) -> _Rows:
        """Return the rows of a split in the order of the file, each image once."""
        chosen = [row for row, name in enumerate(self.splits) if name == split]
        paths = [self.paths[row] for row in chosen]
        repeated = [path for path, count in Counter(paths).items() if count > 1]
        if repeated:
            raise ValueError(f"{self.file} lists twice in split {split!r}: {name_few(repeated)}; once is right")
        return _Rows(paths, self.labels_N[chosen])

    def identities(self, labels: Indices) -> Identities:
        """Return what labels name, by the texts that they have in the whole file."""
        return Identities(self.file.resolve(), frozenset(self.classes[label] for label in np.unique(labels)))

    def check_there(self, paths: list[str]) -> None:
        """Check that paths are those of files below the manifest's folder.

        Raises:
            ValueError: one is not; one line.
        """
        check_inside(self.file, paths)
        root = self.file.parent
        check_on_disk(self.file, root, paths, find_on_disk(root, paths))

    def unnamed(self) -> LeftOut:
        """Count the images that lie beside those of the manifest, and that none of its rows names."""
        return list_unnamed(self.file.parent, self.paths)

    def no_split(self, split: str) -> ValueError:
        """Return the error for a split without rows."""
        there = name_few([repr(name) for name in sorted(set(self.splits))]) or "none"
        return ValueError(f"{self.file} has no row of split {split!r}; its splits are {there}")


def load_manifest(file: Path, split: str = "test") -> RetrievalSet:
    """Read a database, the rows of `split`, and its queries, the rows of `<split>_query`.

    Without such rows every image whose label another one has is a query. Positives have the query's label; the query's
    own image, where it is in the database, is junk. Scored by the classic protocol.

    The file has the columns `path` (relative to its folder), `label` (texts or integers) and `split`; others are left
    alone.

    Args:
        file: the manifest.
        split: of the database.

    Raises:
        ValueError: the file is no Parquet, a column is missing or of another type, a field is empty, the split has no
            rows or no queries, an image is listed twice, or images are not there (counted); one line.
    """
    manifest = _read(file)
    database, queries = manifest.rows(split), manifest.rows(f"{split}_query")
    if not database.paths:
        raise manifest.no_split(split)
    manifest.check_there(database.paths + queries.paths)
    if not queries.paths:
        queries = _those_with_an_answer(database)
    if not queries.paths:
        raise ValueError(f"{file}: no label of split {split!r} has two images; queries need another to find")
    return RetrievalSet(
        f"{file.stem}_{split}",
        Images(file.parent, database.paths),
        _ask(file, database, queries),
        identities=manifest.identities(queries.labels_N),
        left_out=manifest.unnamed(),
    )


def load_manifest_training(file: Path, split: str = "train") -> TrainingSet:
    """Read the rows of `split` as labelled images; classes are in the order of the labels.

    Args:
        file: the manifest.
        split: of the rows.

    Raises:
        ValueError: as `load_manifest`.
    """
    manifest = _read(file)
    rows = manifest.rows(split)
    if not rows.paths:
        raise manifest.no_split(split)
    manifest.check_there(rows.paths)
    seen, labels = np.unique(rows.labels_N, return_inverse=True)
    classes = tuple(manifest.classes[label] for label in seen)
    return TrainingSet(
        Images(file.parent, rows.paths),
        labels,
        classes,
        identities=manifest.identities(seen),
        left_out=manifest.unnamed(),
    )


def _read(file: Path) -> _Manifest:
    # A late import, for start-up: pyarrow takes a while to load, and every worker would pay for it.
    from retrieval.datasets.manifest_table import read_columns

    paths, labels, splits = read_columns(file)
    classes, labels_N = np.unique(np.array(labels), return_inverse=True)
    return _Manifest(file, paths, labels_N, tuple(str(label) for label in classes), splits)


def _those_with_an_answer(database: _Rows) -> _Rows:
    chosen = np.flatnonzero(np.bincount(database.labels_N)[database.labels_N] > 1)
    return _Rows([database.paths[i] for i in chosen], database.labels_N[chosen])


def _ask(file: Path, database: _Rows, queries: _Rows) -> tuple[Query, ...]:
    index_of = {path: index for index, path in enumerate(database.paths)}
    # Stable, so that the images of a label keep their order.
    order = np.argsort(database.labels_N, kind="stable")
    sorted_labels = database.labels_N[order]
    starts = np.searchsorted(sorted_labels, queries.labels_N, side="left")
    ends = np.searchsorted(sorted_labels, queries.labels_N, side="right")
    asked = []
    for path, start, end in zip(queries.paths, starts, ends, strict=True):
        itself = index_of.get(path, -1)
        same = order[start:end]
        junk = np.array([itself] if itself >= 0 else [], dtype=np.int64)
        asked.append(Query(path, file.parent / path, None, positives=same[same != itself], junk=junk))
    return tuple(asked)


def _find_sign(path: Path) -> Path | None:
    """Return a .parquet file."""
    if path.is_file():
        return path if path.suffix == ".parquet" else None
    return first_match(path, "*.parquet")


def _file(path: Path) -> Path:
    return _find_sign(path) or path / "manifest.parquet"


def _splits(path: Path) -> tuple[str, ...]:
    # A late import, for start-up: see `_read`.
    from retrieval.datasets.manifest_table import read_split_names

    return read_split_names(_file(path))


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_manifest(_file(path), split)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_manifest_training(_file(path), split)


FORMAT = Format(
    name="manifest",
    title="Parquet manifest",
    layout="manifest.parquet with columns path, label, split",
    find_sign=_find_sign,
    queries=Reading(_load, "test", _splits),
    training=Reading(_load_training, "train", _splits),
    precedence=70,
    distractors=Distractors.ADDED,
    exif_orientation="apply",
)

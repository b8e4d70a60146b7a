"""The miniature benchmark as it was drawn, for the writers of formats: what each image shows, and how well."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.datasets.base import Box
from retrieval.datasets.formats.oxford import load_oxford


@dataclass(frozen=True)
class DrawnQuery:
    """One query: its image, its box, and a name with its number among the queries of its place."""

    name: str
    image: Path
    box: Box


@dataclass(frozen=True)
class DrawnPlace:
    """The views of one place, by how well they show it; those of a training place or a distractor are all good."""

    name: str
    good: tuple[Path, ...]
    ok: tuple[Path, ...] = ()
    junk: tuple[Path, ...] = ()
    queries: tuple[DrawnQuery, ...] = ()

    @property
    def asked(self) -> tuple[Path, ...]:
        """The views that are queries."""
        return tuple(query.image for query in self.queries)

    @property
    def answers(self) -> tuple[Path, ...]:
        """The good and ok views that are no queries, for formats that keep these out of the database."""
        return tuple(sorted({*self.good, *self.ok} - set(self.asked)))


@dataclass(frozen=True)
class DrawnSplit:
    """The places that are queried, and the distractors: places of one view each."""

    places: tuple[DrawnPlace, ...]
    distractors: tuple[DrawnPlace, ...]


@dataclass(frozen=True)
class Drawn:
    """The whole benchmark, its images still where they were drawn."""

    training: tuple[DrawnPlace, ...]
    val: DrawnSplit
    test: DrawnSplit


def read_drawn(root: Path) -> Drawn:
    """Read what `retrieval.datasets.miniature.mini` has drawn into `root`."""
    folders = sorted((root / "train").iterdir())
    training = tuple(DrawnPlace(folder.name, tuple(sorted(folder.iterdir()))) for folder in folders)
    return Drawn(training, _read_split(root / "val"), _read_split(root / "test"))


def _read_split(root: Path) -> DrawnSplit:
    queries: dict[str, list[DrawnQuery]] = {}
    for query in load_oxford(root).queries:
        assert query.box is not None
        queries.setdefault(place_of(query.path), []).append(DrawnQuery(query.name, query.path, query.box))
    views: dict[str, list[Path]] = {}
    for path in sorted((root / "jpg").iterdir()):
        views.setdefault(place_of(path), []).append(path)
    return DrawnSplit(
        places=tuple(_rated_place(root, place, asked) for place, asked in queries.items()),
        distractors=tuple(DrawnPlace(place, tuple(paths)) for place, paths in views.items() if place not in queries),
    )


def _rated_place(root: Path, place: str, queries: list[DrawnQuery]) -> DrawnPlace:
    # The queries of a place share its lists, so those of the first are everyone's.
    good, ok, junk = (tuple(_listed(root, f"{queries[0].name}_{kind}.txt")) for kind in ("good", "ok", "junk"))
    return DrawnPlace(place, good, ok, junk, tuple(queries))


def _listed(root: Path, file: str) -> Iterator[Path]:
    return (root / "jpg" / f"{name}.jpg" for name in (root / "gt" / file).read_text(encoding="utf-8").split())


def place_of(image: Path) -> str:
    """Return the place that a drawn image shows, by its name."""
    return image.stem.rpartition("_")[0]


def move(source: Path, target: Path) -> None:
    """Put a drawn image where a format wants it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def copy(source: Path, target: Path) -> None:
    """Copy a drawn image to where a format wants it, if the format holds the image more than once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)

"""The classic Oxford5k layout: one folder of images, four small text files a query.

<root>/jpg/<image>.jpg
<root>/gt/<place>_<n>_query.txt   one line: image x1 y1 x2 y2
<root>/gt/<place>_<n>_good.txt    one image name a line, without .jpg; so are _ok and _junk
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Box, Indices, Query, RetrievalSet, name_few

_KINDS = ("query", "good", "ok", "junk")
_QUERY_PREFIX = "oxc1_"


@dataclass(frozen=True)
class _QueryFiles:
    """What the four files of one query say, as image names."""

    name: str
    image: str
    box: Box
    good: frozenset[str]
    ok: frozenset[str]
    junk: frozenset[str]


def load_oxford(root: Path, name: str = "oxford5k") -> RetrievalSet:
    """Read the layout above by the rules of the Oxford Buildings evaluation (Philbin et al., CVPR 2007).

    The database is every image, ordered by name, the full query images with it. Positives are good ∪ ok. The
    lists are sets: one published file holds a line twice. The published query files, and only they, write
    `oxc1_` before the image name. Box corners are floats.

    Raises ValueError of one line, with the file and what would be right, for a missing folder or file, a
    malformed query line, an image that is named but not there, and one that is positive and junk at once.
    """
    images = _list_images(root / "jpg")
    entries = [_read_query_files(root / "gt", stem) for stem in _query_stems(root / "gt")]
    index_of = {path.stem: index for index, path in enumerate(images)}
    _check_named_images_exist(entries, index_of, root)
    queries = tuple(
        Query(
            name=entry.name,
            path=images[index_of[entry.image]],
            box=entry.box,
            positives=_indices(entry.good | entry.ok, index_of),
            junk=_indices(entry.junk, index_of),
        )
        for entry in entries
    )
    return RetrievalSet(name=name, images=images, queries=queries)


def _list_images(folder: Path) -> tuple[Path, ...]:
    images = tuple(sorted(folder.glob("*.jpg")))
    if not images:
        raise ValueError(f"{folder} is missing or holds no .jpg file; it must hold the images of the database")
    return images


def _query_stems(folder: Path) -> list[str]:
    """`all_souls_1` for each query, all four of whose files are there."""
    found: dict[str, set[str]] = {}
    for path in folder.glob("*.txt"):
        # Places have underscores in their names, so only the last one divides.
        stem, _, kind = path.stem.rpartition("_")
        if kind in _KINDS:
            found.setdefault(stem, set()).add(kind)
    if not found:
        raise ValueError(f"{folder} is missing or holds no query; each query needs <place>_<n>_query.txt")
    missing = [f"{stem}_{kind}.txt" for stem in sorted(found) for kind in _KINDS if kind not in found[stem]]
    if missing:
        raise ValueError(f"{folder} lacks {name_few(missing)}; each query needs its _query, _good, _ok and _junk file")
    return sorted(found)


def _read_query_files(folder: Path, stem: str) -> _QueryFiles:
    image, box = _read_query_line(folder / f"{stem}_query.txt")
    good, ok, junk = (frozenset(_lines(folder / f"{stem}_{kind}.txt")) for kind in ("good", "ok", "junk"))
    both = sorted((good | ok) & junk)
    if both:
        raise ValueError(
            f"{folder / f'{stem}_junk.txt'} lists {name_few(both)}, which {stem}_good.txt or {stem}_ok.txt "
            "lists too; an image is either a positive or junk"
        )
    return _QueryFiles(name=stem, image=image, box=box, good=good, ok=ok, junk=junk)


def _read_query_line(path: Path) -> tuple[str, Box]:
    lines = _lines(path)
    wanted = "one line 'image x1 y1 x2 y2' with x1 < x2 and y1 < y2 in pixels"
    if len(lines) != 1:
        raise ValueError(f"{path} holds {len(lines)} lines; it must hold {wanted}")
    try:
        image, *corners = lines[0].split()
        x1, y1, x2, y2 = (float(corner) for corner in corners)
    except ValueError as error:
        raise ValueError(f"{path} says {lines[0]!r}; it must hold {wanted}") from error
    # A box may reach over the edge of its image, where cutting fills in black.
    if not (all(map(math.isfinite, (x1, y1, x2, y2))) and x1 < x2 and y1 < y2):
        raise ValueError(f"{path} says {lines[0]!r}; it must hold {wanted}")
    return image.removeprefix(_QUERY_PREFIX), (x1, y1, x2, y2)


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _check_named_images_exist(entries: list[_QueryFiles], index_of: dict[str, int], root: Path) -> None:
    missing: dict[str, str] = {}
    for file, image in _named_images(entries):
        if image not in index_of:
            missing.setdefault(image, file)
    if missing:
        listed = name_few([f"{image} (in {file})" for image, file in missing.items()])
        raise ValueError(
            f"images named in {root / 'gt'} and not in {root / 'jpg'}, {len(missing)} in all: {listed}; "
            "each name needs its <name>.jpg"
        )


def _named_images(entries: list[_QueryFiles]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        yield f"{entry.name}_query.txt", entry.image
        for kind, images in (("good", entry.good), ("ok", entry.ok), ("junk", entry.junk)):
            for image in sorted(images):
                yield f"{entry.name}_{kind}.txt", image


def _indices(names: frozenset[str], index_of: dict[str, int]) -> Indices:
    return np.array(sorted(index_of[name] for name in names), dtype=np.int64)

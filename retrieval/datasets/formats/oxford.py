"""The classic layout of Oxford5k and Paris6k: one folder of images, four small text files a query.

<root>/jpg/<image>.jpg            or in folders below jpg/, as Paris6k is packed
<root>/corrupt.txt                optional: <folder>/<image>.jpg a line, files that are no images
<root>/gt/<place>_<n>_query.txt   one line: image x1 y1 x2 y2
<root>/gt/<place>_<n>_good.txt    one image name a line, without .jpg; so are _ok and _junk
"""

import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Box, Images, Indices, Query, RetrievalSet
from retrieval.datasets.format import Distractors, Format, Reading, Source, first_match
from retrieval.datasets.image_files import list_published, stem
from retrieval.datasets.left_out import LeftOut, Listing
from retrieval.datasets.missing import MissingImagesError
from retrieval.text import name_few

_log = logging.getLogger(__name__)

_KINDS = ("query", "good", "ok", "junk")
_QUERY_PREFIX = "oxc1_"
# Web pages that were saved as images when Paris6k was gathered: its corrupt.txt. The set has 6,392 images without them.
_CORRUPT_IN_PARIS = {
    "louvre": ("000136", "000146"),
    "moulinrouge": ("000422",),
    "museedorsay": ("001059",),
    "notredame": ("000188",),
    "pantheon": ("000284", "000960", "000974"),
    "pompidou": ("000195", "000196", "000201", "000467", "000640"),
    "sacrecoeur": ("000299", "000330", "000353"),
    "triomphe": ("000662", "000833", "000863", "000867"),
}
PARIS_CORRUPT = frozenset(
    f"paris_{landmark}_{number}" for landmark, numbers in _CORRUPT_IN_PARIS.items() for number in numbers
)
"""The files of Paris6k that are no images, without folder and .jpg."""


@dataclass(frozen=True)
class _QueryFiles:
    """The contents of the four files of one query, as image names."""

    name: str
    image: str
    box: Box
    good: frozenset[str]
    ok: frozenset[str]
    junk: frozenset[str]


def load_oxford(root: Path, name: str = "oxford5k") -> RetrievalSet:
    """Read the layout above by the rules of the Oxford Buildings evaluation (Philbin et al., CVPR 2007).

    The database is every .jpg file (every image where there is no .jpg), ordered by name, the full query images with
    it; an image is known by its name whatever folder it lies in. Left out, also where a list names them, are the
    corrupt files: the twenty of Paris6k and those of `corrupt.txt`. Positives are good ∪ ok, and may be none. The lists
    are sets: one published file holds a line twice. Oxford's published query files, and only they, write `oxc1_` before
    the image name. Box corners are floats.

    Args:
        root: the folder of the set.
        name: of the set.

    Raises:
        ValueError: a folder or file is missing, a query line is malformed, an image is named but not there, or one is
            positive and junk at once; one line, with the file and what would be right.
    """
    corrupt = PARIS_CORRUPT | _corrupt_names(root / "corrupt.txt")
    listed = _list_images(root / "jpg", corrupt)
    names = listed.names
    entries = [_read_query_files(root / "gt", query, corrupt) for query in _query_stems(root / "gt")]
    index_of = {stem(file): index for index, file in enumerate(names)}
    images = Images(root / "jpg", names)
    _check_named_images_exist(entries, index_of, images)
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
    return RetrievalSet(name=name, images=images, queries=queries, left_out=listed.left_out)


def _corrupt_names(path: Path) -> frozenset[str]:
    return frozenset(stem(line) for line in _lines(path)) if path.is_file() else frozenset()


def _list_images(folder: Path, corrupt: frozenset[str]) -> Listing:
    listed = list_published(folder)
    names = [name for name in listed.names if stem(name) not in corrupt]
    if not names:
        raise ValueError(f"{folder} is missing or holds no image; it must hold the images of the database")
    if len(names) < len(listed.names):
        _log.info("%s: corrupt files left out: %d", folder, len(listed.names) - len(names))
    repeated = [name for name, count in Counter(map(stem, names)).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{folder} holds {len(repeated)} images in more than one of its folders: {name_few(repeated)}; "
            "the lists know an image by its name, so each must be there once"
        )
    left_out = LeftOut.of("known to be corrupt", (name for name in listed.names if stem(name) in corrupt))
    return Listing(names, listed.left_out + left_out)


def _query_stems(folder: Path) -> list[str]:
    """Return the query names, as `all_souls_1`, after checking that all four files of each are there."""
    kinds_of: dict[str, set[str]] = {}
    for path in folder.glob("*.txt"):
        # Places have underscores in their names, so only the last one divides.
        query, _, kind = path.stem.rpartition("_")
        if kind in _KINDS:
            kinds_of.setdefault(query, set()).add(kind)
    if not kinds_of:
        raise ValueError(f"{folder} is missing or holds no query; each query needs <place>_<n>_query.txt")
    missing = [f"{query}_{kind}.txt" for query in sorted(kinds_of) for kind in _KINDS if kind not in kinds_of[query]]
    if missing:
        raise ValueError(f"{folder} lacks {name_few(missing)}; each query needs its _query, _good, _ok and _junk file")
    return sorted(kinds_of)


def _read_query_files(folder: Path, query: str, corrupt: frozenset[str]) -> _QueryFiles:
    image, box = _read_query_line(folder / f"{query}_query.txt")
    good, ok, junk = (frozenset(_lines(folder / f"{query}_{kind}.txt")) - corrupt for kind in ("good", "ok", "junk"))
    both = sorted((good | ok) & junk)
    if both:
        raise ValueError(
            f"{folder / f'{query}_junk.txt'} lists {name_few(both)}, which {query}_good.txt or {query}_ok.txt "
            "lists too; an image is either a positive or junk"
        )
    return _QueryFiles(name=query, image=image, box=box, good=good, ok=ok, junk=junk)


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
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error.reason}); it must hold image names") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _check_named_images_exist(entries: list[_QueryFiles], index_of: dict[str, int], images: Images) -> None:
    missing: dict[str, str] = {}
    for file, image in _named_images(entries):
        if image not in index_of:
            missing.setdefault(image, file)
    if missing:
        listed = name_few([f"{image} (in {file})" for image, file in missing.items()])
        raise MissingImagesError(
            f"images named in {images.root.parent / 'gt'} and not in {images.root}, {len(missing)} in all: {listed}; "
            "each name needs its <name>.jpg",
            [images.root / f"{image}.jpg" for image in missing],
            images,
        )


def _named_images(entries: list[_QueryFiles]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        yield f"{entry.name}_query.txt", entry.image
        for kind, images in (("good", entry.good), ("ok", entry.ok), ("junk", entry.junk)):
            for image in sorted(images):
                yield f"{entry.name}_{kind}.txt", image


def _indices(names: frozenset[str], index_of: dict[str, int]) -> Indices:
    return np.array(sorted(index_of[name] for name in names), dtype=np.int64)


def _find_sign(path: Path) -> Path | None:
    """Return `gt/` if there is a query file in it."""
    return path / "gt" if first_match(path / "gt", "*_query.txt") else None


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_oxford(path, name=path.resolve().name)


FORMAT = Format(
    name="oxford",
    title="text ground truth in the Oxford5k layout",
    layout="jpg/ and gt/*_query.txt",
    find_sign=_find_sign,
    queries=Reading(_load),
    precedence=10,  # before gnd: text ground truth before its pickled twin
    distractors=Distractors.ADDED,
    set_names={"oxford5k": "Oxford5k", "paris6k": "Paris6k"},
)

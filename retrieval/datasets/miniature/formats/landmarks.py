"""Oxford5k, Paris6k, their 105k/106k with Flickr100k, and the revisited ones with a million distractors.

All are written into cirtorch's root: `train/retrieval-SfM-120k` to train and select on, `test/<name>` to report on.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from retrieval.datasets.distractors import FLICKR_UNREADABLE
from retrieval.datasets.formats.oxford import PARIS_CORRUPT
from retrieval.datasets.miniature.formats.drawn import Drawn, DrawnPlace, DrawnSplit, move, place_of
from retrieval.datasets.miniature.formats.gnd import Listed, write_gnd
from retrieval.datasets.miniature.formats.sfm import write_sfm

_QUERY_PREFIX = "oxc1_"
_HTML = b"<!DOCTYPE HTML><html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"
_TAGS = tuple(sorted({file.partition("/")[0] for file in FLICKR_UNREADABLE}))


@dataclass(frozen=True)
class _Names:
    """The names that a city gives to a place, to its images without extension, and to its folder below jpg/."""

    place: Callable[[str], str]
    image: Callable[[Path], str]
    folder: Callable[[Path], str]


def _landmark(place: str) -> str:
    return place.replace("_", "")


def _paris_image(image: Path) -> str:
    return f"paris_{_landmark(place_of(image))}_{image.stem.rpartition('_')[2]}"


_OXFORD = _Names(place=str, image=lambda image: image.stem, folder=lambda image: ".")
_PARIS = _Names(place=_landmark, image=_paris_image, folder=lambda image: _landmark(place_of(image)))
_RPARIS = _Names(place=_landmark, image=_paris_image, folder=lambda image: ".")


def write_oxford5k(drawn: Drawn, out: Path) -> None:
    """Write `test/oxford5k/{jpg,gt}` with the pickled and the .mat twin of its ground truth."""
    write_sfm(drawn, out)
    _write_classic(drawn.test, out / "test" / "oxford5k", _OXFORD, _QUERY_PREFIX)


def write_paris6k(drawn: Drawn, out: Path) -> None:
    """Write `test/paris6k`: images in one folder per landmark with the 20 corrupt files, and the list of those."""
    write_sfm(drawn, out)
    _write_classic(drawn.test, out / "test" / "paris6k", _PARIS, "")
    _write_corrupt(out / "test" / "paris6k")


def write_oxford105k(drawn: Drawn, out: Path) -> None:
    """Write `test/oxford5k`, and half of the distractors to `test/flickr100k`."""
    write_sfm(drawn, out)
    _write_classic(_without_flickr(drawn.test, out), out / "test" / "oxford5k", _OXFORD, _QUERY_PREFIX)


def write_paris106k(drawn: Drawn, out: Path) -> None:
    """Write `test/paris6k`, and half of the distractors to `test/flickr100k`."""
    write_sfm(drawn, out)
    _write_classic(_without_flickr(drawn.test, out), out / "test" / "paris6k", _PARIS, "")
    _write_corrupt(out / "test" / "paris6k")


def write_roxford5k(drawn: Drawn, out: Path) -> None:
    """Write `test/roxford5k`, and half of the distractors to `test/revisitop1m`."""
    write_sfm(drawn, out)
    _write_revisited(_without_million(drawn.test, out), out / "test" / "roxford5k", _OXFORD)


def write_rparis6k(drawn: Drawn, out: Path) -> None:
    """Write `test/rparis6k`, and half of the distractors to `test/revisitop1m`."""
    write_sfm(drawn, out)
    _write_revisited(_without_million(drawn.test, out), out / "test" / "rparis6k", _RPARIS)


def _write_classic(split: DrawnSplit, root: Path, names: _Names, query_prefix: str) -> None:
    (root / "gt").mkdir(parents=True)
    asked = [
        Listed(
            image=names.image(query.image),
            box=query.box,
            lists={"ok": _named(names, (*place.good, *place.ok)), "junk": _named(names, place.junk)},
        )
        for place in split.places
        for query in place.queries
    ]
    for place in split.places:
        _write_texts(root / "gt", place, names, query_prefix)
    database = _named(names, _views(split))
    write_gnd(root, database, asked)
    _move_images(split, root, names)


def _write_texts(folder: Path, place: DrawnPlace, names: _Names, query_prefix: str) -> None:
    for number, query in enumerate(place.queries, start=1):
        corners = " ".join(f"{corner:.2f}" for corner in query.box)
        lists = {
            "query": [f"{query_prefix}{names.image(query.image)} {corners}"],
            # One published list holds a line twice.
            "good": [*_named(names, place.good), names.image(place.good[0])],
            "ok": _named(names, place.ok),
            "junk": _named(names, place.junk),
        }
        for kind, lines in lists.items():
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{names.place(place.name)}_{number}_{kind}.txt").write_text(text, encoding="utf-8")


def _write_revisited(split: DrawnSplit, root: Path, names: _Names) -> None:
    """Write revisited ground truth: queries are not in the database, good answers are easy and ok answers hard."""
    root.mkdir(parents=True)
    asked = [
        Listed(
            image=names.image(query.image),
            box=query.box,
            lists={
                "easy": _named(names, set(place.good) - set(place.asked)),
                "hard": _named(names, set(place.ok) - set(place.asked)),
                "junk": _named(names, place.junk),
            },
        )
        for place in split.places
        for query in place.queries
    ]
    queries = {query.image for query in asked}
    write_gnd(root, [name for name in _named(names, _views(split)) if name not in queries], asked)
    _move_images(split, root, names)


def _write_corrupt(root: Path) -> None:
    files = [f"{name.split('_')[1]}/{name}.jpg" for name in sorted(PARIS_CORRUPT)]
    for file in files:
        _write_html(root / "jpg" / file)
    (root / "corrupt.txt").write_text("".join(f"{file}\n" for file in files), encoding="utf-8")


def _without_flickr(split: DrawnSplit, out: Path) -> DrawnSplit:
    kept, away = _halve(split)
    root = out / "test" / "flickr100k"
    for number, image in enumerate(away):
        tag = _TAGS[number % len(_TAGS)]
        move(image, root / tag / f"{tag}_{number:06d}.jpg")
    for file in FLICKR_UNREADABLE:
        _write_html(root / file)
    return kept


def _without_million(split: DrawnSplit, out: Path) -> DrawnSplit:
    kept, away = _halve(split)
    root = out / "test" / "revisitop1m"
    names = [hashlib.sha1(image.stem.encode(), usedforsecurity=False).hexdigest() for image in away]
    files = [f"{name[:2]}/{name}.jpg" for name in names]
    for image, file in zip(away, files, strict=True):
        move(image, root / "jpg" / file)
    (root / "jpg").mkdir(parents=True, exist_ok=True)
    (root / "revisitop1m.txt").write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
    return kept


def _halve(split: DrawnSplit) -> tuple[DrawnSplit, list[Path]]:
    """Return the split with every other one of its distractors, and the images of those taken out."""
    kept, away = split.distractors[::2], split.distractors[1::2]
    return DrawnSplit(split.places, kept), [place.good[0] for place in away]


def _views(split: DrawnSplit) -> list[Path]:
    places = (*split.places, *split.distractors)
    return [view for place in places for view in (*place.good, *place.ok, *place.junk)]


def _named(names: _Names, images: Iterable[Path]) -> list[str]:
    return sorted(names.image(image) for image in images)


def _move_images(split: DrawnSplit, root: Path, names: _Names) -> None:
    for image in _views(split):
        move(image, root / "jpg" / names.folder(image) / f"{names.image(image)}.jpg")


def _write_html(file: Path) -> None:
    """Write a web page, which the published archives hold where the download of an image failed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_HTML)

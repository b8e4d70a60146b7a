"""The miniature benchmark: drawn places instead of photographed ones, made in seconds, nothing to download.

    OUT/train/<place>/*.jpg      labelled images, one folder a place
    OUT/val/{jpg,gt}             a retrieval set in the Oxford5k layout
    OUT/test/{jpg,gt}            another one; no place or street is shared between the three
    OUT/mini.json                seed and settings that the rest follows from

That is the format `mini`; the same drawings can be written in those of the published data sets (`mini_formats`).

Places stand in streets that share a style, so that the places of one street are easy to take for one another.
Each view of a place has one difficulty in [0, 1], which bounds everything that disturbs it.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from retrieval.datasets.base import Box
from retrieval.datasets.miniature.facades import draw_house, sample_house, sample_street
from retrieval.datasets.miniature.formats.drawn import read_drawn
from retrieval.datasets.miniature.formats.registry import WRITERS
from retrieval.datasets.miniature.town import Place, Split, lay_out
from retrieval.datasets.miniature.views import photograph

_JPEG_QUALITY = 90
_QUERY_PREFIX = "oxc1_"  # as in the published query files, so that reading them is exercised
_AS_DRAWN = "mini"
_STYLE_DRAWS, _HOUSE_DRAWS, _VIEW_DRAWS, _QUERY_DRAWS = range(4)


class MiniSettings(BaseModel):
    """The size of a benchmark; from `places` to `distractors` the counts are those of `val` and of `test` each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(default=64, ge=32)
    training_places: int = Field(default=600, ge=2)
    views: int = Field(default=8, ge=1)
    places: int = Field(default=48, ge=1)
    queries_per_place: int = Field(default=2, ge=1)
    positives: int = Field(default=8, ge=2)
    junk: int = Field(default=1, ge=0)
    distractors: int = Field(default=200, ge=0)
    places_per_street: int = Field(default=6, ge=1)

    @model_validator(mode="after")
    def _queries_are_positives(self) -> "MiniSettings":
        if self.queries_per_place > self.positives:
            raise ValueError(
                f"queries_per_place is {self.queries_per_place} and positives {self.positives}; "
                "each query is a positive of its place, so there must be as many"
            )
        return self

    @property
    def training_images(self) -> int:
        """Images in `train`."""
        return self.training_places * self.views

    @property
    def database_images(self) -> int:
        """Images in each of `val` and `test`."""
        return self.places * (self.positives + self.junk) + self.distractors

    @property
    def queries(self) -> int:
        """Queries in each of `val` and `test`."""
        return self.places * self.queries_per_place


DEFAULT_SETTINGS = MiniSettings()


class MiniManifest(BaseModel):
    """The contents of `mini.json`; two benchmarks with equal ones hold the same images under the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(default=1, description="of this file")
    written_as: str = Field(default=_AS_DRAWN, description="the format of the images and lists")
    seed: int = Field(ge=0)
    settings: MiniSettings
    training_images: int
    database_images: int
    queries: int


@dataclass(frozen=True)
class _Shot:
    """One written view."""

    image: str
    difficulty: float
    box: Box


def write_mini(
    out: Path,
    *,
    seed: int = 0,
    settings: MiniSettings = DEFAULT_SETTINGS,
    progress: Callable[[int, int], None] | None = None,
    format: str = _AS_DRAWN,
) -> None:
    """Draw the benchmark into `out`, or leave it as it is when it is already there.

    Everything is written beside `out` and renamed at the end, so `out` is never half there. The same seed and settings
    draw the same pixels (with the same Pillow and NumPy), whatever the format.

    Args:
        out: the folder to write.
        seed: of everything that is drawn.
        settings: counts and image size.
        progress: called after each image with the number of images written and their total.
        format: `mini`, or one of `retrieval.datasets.miniature.formats.registry.WRITERS`.

    Raises:
        ValueError: the format is unknown, or `out` holds anything else.
    """
    if format != _AS_DRAWN and format not in WRITERS:
        raise ValueError(f"unknown format {format!r}; known are {', '.join((_AS_DRAWN, *WRITERS))}")
    manifest = MiniManifest(
        written_as=format,
        seed=seed,
        settings=settings,
        training_images=settings.training_images,
        database_images=settings.database_images,
        queries=settings.queries,
    )
    if _is_written(out, manifest):
        return
    partial = out.absolute().parent / f".{out.name}.{uuid4().hex[:8]}.partial"
    drawn = partial / "drawn"
    drawn.mkdir(parents=True)
    try:
        total = settings.training_images + 2 * settings.database_images
        for done, _ in enumerate(_write_town(drawn, seed, settings), start=1):
            if progress is not None:
                progress(done, total)
        written = _rewrite(drawn, partial / "written", format)
        (written / "mini.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _move(written, out, manifest)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _rewrite(drawn: Path, written: Path, format: str) -> Path:
    """Return the folder that holds the benchmark in its format."""
    if format == _AS_DRAWN:
        return drawn
    written.mkdir()
    WRITERS[format](read_drawn(drawn), written)
    return written


def _move(partial: Path, out: Path, manifest: MiniManifest) -> None:
    try:
        partial.rename(out)
    except OSError:
        # Another process may have drawn the same benchmark in the meantime; then there is nothing left to do.
        if not _is_written(out, manifest):
            raise


def rate_views(difficulties: list[float], positives: int) -> tuple[list[int], list[int], list[int]]:
    """Return indices of the good, ok and junk views: the `positives` easiest in two halves, then the others."""
    ranked = [int(index) for index in np.argsort(difficulties, kind="stable")]
    good = (positives + 1) // 2
    return ranked[:good], ranked[good:positives], ranked[positives:]


def _is_written(out: Path, manifest: MiniManifest) -> bool:
    if not out.exists():
        return False
    if not out.is_dir():
        raise ValueError(f"{out} is a file; the miniature benchmark needs a folder that is not there yet")
    path = out / "mini.json"
    if not path.is_file():
        inside = sorted(entry.name for entry in out.iterdir())
        if not inside:
            return False
        raise ValueError(f"{out} holds {inside[0]} and no mini.json; it must be empty or not there yet")
    try:
        written = MiniManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise ValueError(f"{path} is not of this version; remove {out} or write elsewhere") from error
    if written != manifest:
        raise ValueError(
            f"{out} holds another benchmark ({_differences(written, manifest)}); remove it or write elsewhere"
        )
    return True


def _differences(written: MiniManifest, wanted: MiniManifest) -> str:
    there = {**written.settings.model_dump(), "seed": written.seed, "format": written.written_as}
    asked = {**wanted.settings.model_dump(), "seed": wanted.seed, "format": wanted.written_as}
    changed = [f"{key} {there[key]}, asked {asked[key]}" for key in there if there[key] != asked[key]]
    return "; ".join(changed) or "other counts"


def _write_town(root: Path, seed: int, settings: MiniSettings) -> Iterator[_Shot]:
    town = lay_out(
        training_places=settings.training_places,
        places=settings.places,
        distractors=settings.distractors,
        places_per_street=settings.places_per_street,
    )
    for place in town.training:
        yield from _photograph_place(root / "train" / place.name, place, settings.views, seed, settings)
    for name, split in (("val", town.val), ("test", town.test)):
        yield from _write_split(root / name, split, seed, settings)


def _write_split(root: Path, split: Split, seed: int, settings: MiniSettings) -> Iterator[_Shot]:
    (root / "gt").mkdir(parents=True)
    for place in split.places:
        shots = list(_photograph_place(root / "jpg", place, settings.positives + settings.junk, seed, settings))
        _write_ground_truth(root / "gt", place, shots, seed, settings)
        yield from shots
    for place in split.distractors:
        yield from _photograph_place(root / "jpg", place, 1, seed, settings)


def _photograph_place(folder: Path, place: Place, views: int, seed: int, settings: MiniSettings) -> Iterator[_Shot]:
    """Write `<place>_<number>.jpg` for each view, in an order that says nothing about the difficulty."""
    folder.mkdir(parents=True, exist_ok=True)
    street = sample_street(_draws(seed, _STYLE_DRAWS, place.street))
    house = sample_house(street, _draws(seed, _HOUSE_DRAWS, place.street, place.house))
    front = draw_house(house, settings.image_size)
    rng = _draws(seed, _VIEW_DRAWS, place.street, place.house)
    # One from each of as many equal steps: every place has easy and hard views.
    difficulties = rng.permutation((np.arange(views) + rng.random(views)) / views)
    for number, difficulty in enumerate(difficulties.tolist(), start=1):
        view, box = photograph(front, difficulty, rng, settings.image_size)
        image = f"{place.name}_{number:06d}"
        # Not into the file itself: Pillow takes no notice of a disk that takes only some of the bytes.
        packed = BytesIO()
        view.save(packed, format="JPEG", quality=_JPEG_QUALITY)
        (folder / f"{image}.jpg").write_bytes(packed.getvalue())
        yield _Shot(image, difficulty, box)


def _write_ground_truth(folder: Path, place: Place, shots: list[_Shot], seed: int, settings: MiniSettings) -> None:
    """Write the four files of each query; queries of a place share its lists, and are in them themselves."""
    good, ok, junk = rate_views([shot.difficulty for shot in shots], settings.positives)
    rng = _draws(seed, _QUERY_DRAWS, place.street, place.house)
    asked = rng.choice(good + ok, size=settings.queries_per_place, replace=False)
    for number, index in enumerate(asked.tolist(), start=1):
        corners = " ".join(f"{corner:.2f}" for corner in shots[index].box)
        files = {"query": [f"{_QUERY_PREFIX}{shots[index].image} {corners}"]}
        files |= {
            kind: [shots[i].image for i in sorted(listed)]
            for kind, listed in (("good", good), ("ok", ok), ("junk", junk))
        }
        for kind, lines in files.items():
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{place.name}_{number}_{kind}.txt").write_text(text, encoding="utf-8")


def _draws(seed: int, *purpose: int) -> np.random.Generator:
    """Return a generator for one purpose: its numbers are the same whatever else is drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))

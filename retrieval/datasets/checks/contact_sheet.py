"""A picture of some queries of a data set: the box in the image, what the network sees, and the right answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retrieval.datasets.base import Box, ExifOrientation, Query, RetrievalSet, TrainingSet
from retrieval.images import ImageSize, read_image
from retrieval.text import printable
from retrieval.unreadable_images import UnreadableImagesError

T = TypeVar("T")

QUERIES = 6
"""Rows of a set; spread over its queries."""
ANSWERS = 5
"""Right answers of a row."""
_TILE, _GAP, _LINE = 160, 8, 16  # pixels
_BACKGROUND, _INK, _BOX = "#ffffff", "#1b1f24", "#e4572e"


def draw_sheet(sets: Iterable[object], size: ImageSize | None, file: Path) -> None:
    """Draw queries of each retrieval set, and classes of each training set, into a PNG or whatever the suffix says.

    A row of a retrieval set: the query's image with its box, the query as the network sees it, some right answers. A
    row of a training set: some images of one class.

    Args:
        sets: those that are neither are passed over.
        size: at which images are read; None: as stored.
        file: the picture to write.

    Raises:
        ValueError: there is nothing to draw, or no type of image has that suffix.
    """
    if file.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"{file} has no suffix of an image: sheet.png would be right")
    rows: list[tuple[str, list[Image.Image]]] = []
    for each in sets:
        if isinstance(each, RetrievalSet):
            rows += _rows_of_queries(each, size)
        elif isinstance(each, TrainingSet):
            rows += _rows_of_classes(each, size)
    if not rows:
        raise ValueError("no set was opened: nothing can be drawn")
    file.parent.mkdir(parents=True, exist_ok=True)
    _paste(rows).save(file)


def _rows_of_queries(ranked: RetrievalSet, size: ImageSize | None) -> list[tuple[str, list[Image.Image]]]:
    asked = [query for query in ranked.queries if query.positives.size] or list(ranked.queries)
    return [_row_of_query(query, ranked, size) for query in _spread(asked, QUERIES)]


def _row_of_query(query: Query, ranked: RetrievalSet, size: ImageSize | None) -> tuple[str, list[Image.Image]]:
    orientation = ranked.exif_orientation
    answers = [ranked.images[index] for index in query.positives[:ANSWERS].tolist()]
    tiles = [
        _with_box(query, orientation),
        _as_read(query.path, size, orientation, query.box),
        *(_as_read(path, size, orientation) for path in answers),
    ]
    counts = f"{query.positives.size} right answers, {query.junk.size} junk"
    return f"{ranked.name}: query {printable(query.name)}: image, as read, answers ({counts})", tiles


def _rows_of_classes(train: TrainingSet, size: ImageSize | None) -> list[tuple[str, list[Image.Image]]]:
    rows = []
    for label in _spread(range(len(train.classes)), QUERIES):
        members = np.flatnonzero(train.labels == label)
        tiles = [_as_read(train.images[i], size, train.exif_orientation) for i in members[: ANSWERS + 2].tolist()]
        rows.append((f"trained on: {printable(train.classes[label])} ({members.size} images)", tiles))
    return rows


def _with_box(query: Query, orientation: ExifOrientation) -> Image.Image:
    image = _as_read(query.path, None, orientation)
    if query.box is not None:
        width = max(2, max(image.size) // 80)  # still seen when the image is made small
        ImageDraw.Draw(image).rectangle(query.box, outline=_BOX, width=width)
    return image


def _as_read(path: Path, size: ImageSize | None, orientation: ExifOrientation, box: Box | None = None) -> Image.Image:
    try:
        image_CHW = read_image(path, size=size, box=box, exif_orientation=orientation)
    except UnreadableImagesError as error:
        return _note(error.reasons[path])
    return Image.fromarray(image_CHW.permute(1, 2, 0).numpy())


def _note(text: str) -> Image.Image:
    tile = Image.new("RGB", (_TILE, _TILE), "#dddddd")
    words = [text[start : start + 22] for start in range(0, len(text), 22)]
    ImageDraw.Draw(tile).text((6, 6), "\n".join(words), fill=_INK, font=ImageFont.load_default(12))
    return tile


def _paste(rows: Sequence[tuple[str, list[Image.Image]]]) -> Image.Image:
    columns = max(len(tiles) for _, tiles in rows)
    height = _LINE + _TILE + _GAP
    sheet = Image.new("RGB", (_GAP + columns * (_TILE + _GAP), _GAP + len(rows) * height), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (title, tiles) in enumerate(rows):
        top = _GAP + number * height
        draw.text((_GAP, top), title, fill=_INK, font=font)
        for column, tile in enumerate(tiles):
            sheet.paste(_fit(tile), (_GAP + column * (_TILE + _GAP), top + _LINE))
    return sheet


def _fit(tile: Image.Image) -> Image.Image:
    """Return a picture as large as a tile allows; a small one is enlarged by a whole factor, so that pixels show."""
    factor = _TILE // max(tile.size)
    if factor > 1:
        return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST)
    tile.thumbnail((_TILE, _TILE))
    return tile


def _spread(values: Sequence[T], count: int) -> list[T]:
    """Return `count` values at equal distances, or all where there are fewer."""
    chosen = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return [values[index] for index in chosen.tolist()]

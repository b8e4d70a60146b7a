"""Whether the boxes of queries fit their images, from the headers of the files alone."""

import math
from pathlib import Path

from retrieval.datasets.base import Box, ExifOrientation, RetrievalSet
from retrieval.image_headers import read_header
from retrieval.text import name_few
from retrieval.unreadable_images import UnreadableImagesError

BOX_TOLERANCE = 1.0
"""Pixels that a box may leave its image by: rounding, and corners counted from 1, as MATLAB counts them."""


def check_boxes(retrieval_set: RetrievalSet) -> None:
    """Check that the box of every query fits its image; only headers are read, and none where no query has a box.

    Images whose header cannot be read are passed over: reading them says why.

    Raises:
        ValueError: boxes do not fit; one line that counts them, names the first few with box and size, and says what
            is likely.
    """
    boxed = [query for query in retrieval_set.queries if query.box is not None]
    misfits, beyond = [], False
    for query in boxed:
        size = _size_of(query.path, retrieval_set.exif_orientation)
        if size is None or query.box is None or (misfit := describe_misfit(query.box, size)) is None:
            continue
        misfits.append(f"{query.path.parent.name}/{query.path.name} ({misfit})")
        beyond = beyond or _leaves(query.box, size)
    if misfits:
        likely = (
            "was the image resized or turned after the boxes were drawn?"
            if beyond
            else "x1 y1 x2 y2 in pixels from the left and the top would be right"
        )
        raise ValueError(
            f"{retrieval_set.name}: {len(misfits)} of {len(boxed)} query boxes do not fit their images: "
            f"{name_few(misfits, 3)}; {likely}"
        )


def describe_misfit(box: Box, size: tuple[int, int]) -> str | None:
    """Return what is wrong with a box, in words that follow the name of its image; None where it fits.

    Args:
        box: of a query.
        size: width and height of its image as it is read.
    """
    shown = f"box {' '.join(f'{corner:g}' for corner in box)}"
    if not all(math.isfinite(corner) for corner in box):
        return f"{shown}: corners must be numbers"
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        return f"{shown} ends before it begins: x1 y1 x2 y2 is the order"
    if _leaves(box, size):
        return f"{shown} leaves the image of {size[0]} × {size[1]} pixels"
    if min(*_extent(x1, x2, size[0]), *_extent(y1, y2, size[1])) < 1:
        return f"{shown} holds less than one pixel of the image of {size[0]} × {size[1]}"
    return None


def _leaves(box: Box, size: tuple[int, int]) -> bool:
    """Return whether a box lies outside its image by more than the tolerance."""
    (x1, y1, x2, y2), (width, height) = box, size
    return max(-x1, -y1, x2 - width, y2 - height) > BOX_TOLERANCE


def _extent(start: float, end: float, side: int) -> tuple[float, int]:
    """Return how much of a side lies within the box, in pixels: as given, and with rounded corners as it is cut."""
    return min(end, side) - max(start, 0.0), min(round(end), side) - max(round(start), 0)


def _size_of(path: Path, exif_orientation: ExifOrientation) -> tuple[int, int] | None:
    try:
        return read_header(path, exif_orientation).size
    except UnreadableImagesError:
        return None

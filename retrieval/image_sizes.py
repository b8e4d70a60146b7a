"""The sizes that images are read at, known from their headers, and those that a network cannot take."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.datasets.base import Box, ExifOrientation
from retrieval.image_headers import read_header
from retrieval.images import ImageSize
from retrieval.text import name_few
from retrieval.unreadable_images import UnreadableImagesError

Progress = Callable[[int, int], None]
_HANDED_OUT = 256  # images that the threads are given at a time: all of a million would be as many tasks in memory
_LARGEST_TRIED = 512  # no network is known that needs a tenth of it


def size_as_read(size: tuple[int, int], image_size: ImageSize | None, box: Box | None = None) -> tuple[int, int]:
    """Return width and height that `retrieval.images.read_image` reads an image at.

    Args:
        size: width and height in its header.
        image_size: that it is read at.
        box: what is cut out first.
    """
    if image_size is not None and not isinstance(image_size, int):
        height, width = image_size
        return width, height
    full_side = max(size)
    if box is not None:
        x1, y1, x2, y2 = (round(corner) for corner in box)
        size = (x2 - x1, y2 - y1)
    if image_size is None:
        return size
    return _thumbnail(size, max(1, math.floor(image_size * max(size) / full_side)))


def _thumbnail(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size of Pillow's `Image.thumbnail((side, side))`: of floor and ceiling the nearer to the aspect."""
    width, height = size
    if side >= max(width, height):
        return size
    aspect = width / height
    if aspect <= 1:
        exact = side * aspect
        shorter = min(math.floor(exact), math.ceil(exact), key=lambda pixels: abs(aspect - pixels / side))
        return max(shorter, 1), side
    exact = side / aspect
    shorter = min(
        math.floor(exact), math.ceil(exact), key=lambda pixels: abs(aspect - side / pixels) if pixels else 0.0
    )
    return side, max(shorter, 1)


@torch.inference_mode()
def smallest_side(network: nn.Module) -> int:
    """Return the fewest pixels that an image must have on each side for a network to describe it, found by trying.

    Args:
        network: in eval mode, on the CPU.
    """
    if _takes(network, 1):
        return 1
    too_small, enough = 1, 2
    while not _takes(network, enough):
        too_small, enough = enough, 2 * enough
        if enough > _LARGEST_TRIED:
            raise ValueError(f"the network describes no image of {too_small} × {too_small} pixels; is it broken?")
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        too_small, enough = (too_small, middle) if _takes(network, middle) else (middle, enough)
    return enough


def _takes(network: nn.Module, side: int) -> bool:
    try:
        descriptors_ND: Tensor = network(torch.zeros(1, 3, side, side))
    except (RuntimeError, ValueError):  # what torch raises where a stride or a pooling leaves nothing
        return False
    return bool(descriptors_ND.isfinite().all())


def check_large_enough(
    images: Sequence[tuple[Path, Box | None]],
    needed: int,
    image_size: ImageSize,
    exif_orientation: ExifOrientation,
    *,
    threads: int = 1,
    progress: Progress = lambda done, total: None,
) -> None:
    """Check, by headers alone, that a network can take each image as it will be read.

    Images whose header cannot be read are passed over: reading them says why.

    Args:
        images: each with the box that is cut out, or None.
        needed: the network's `smallest_side`; with 1 nothing is read, since every image has a pixel.
        image_size: that they are read at.
        exif_orientation: how they are read.
        threads: that read headers.
        progress: called with the number of images done, and of all.

    Raises:
        ValueError: the image size, or images as read at it, are too small; one line that counts and names them.
    """
    largest = image_size if isinstance(image_size, int) else min(image_size)
    if largest < needed:
        raise ValueError(
            f"images are read at {image_size} pixels, but the network needs at least {needed} on each side"
        )
    if needed == 1 or not isinstance(image_size, int):
        return
    describe = partial(_describe_if_small, needed=needed, image_size=image_size, exif_orientation=exif_orientation)
    small: list[str] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(images), _HANDED_OUT):
            found = pool.map(describe, images[start : start + _HANDED_OUT])
            small.extend(described for described in found if described is not None)
            progress(min(start + _HANDED_OUT, len(images)), len(images))
    if small:
        verb = "image is" if len(small) == 1 else "images are"
        raise ValueError(
            f"{len(small)} {verb} too small for the network, which needs at least {needed} pixels on each side: "
            f"{name_few(small)}; take them out of the data set, or read all at an exact [height, width]"
        )


def _describe_if_small(
    item: tuple[Path, Box | None], needed: int, image_size: int, exif_orientation: ExifOrientation
) -> str | None:
    """Return the name of an image with its sizes where it is too small; None where it is not, or cannot be read."""
    path, box = item
    try:
        width, height = read_header(path, exif_orientation).size
    except UnreadableImagesError:
        return None
    read_width, read_height = size_as_read((width, height), image_size, box)
    if min(read_width, read_height) >= needed:
        return None
    part = "its box " if box is not None else ""
    return f"{path.parent.name}/{path.name} ({width} × {height}, {part}read at {read_width} × {read_height})"

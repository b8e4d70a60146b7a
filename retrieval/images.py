"""Reading images, cropped and scaled by the benchmarks' protocol."""

import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retrieval.boxes import describe_misfit
from retrieval.datasets.base import Box, ExifOrientation
from retrieval.image_headers import turn_upright
from retrieval.picture_modes import to_rgb
from retrieval.unreadable_images import UnreadableImagesError, opened

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

ImageSize = int | tuple[int, int]
"""One number: the longer side in pixels at most, aspect kept, never enlarged (landmarks). Two: exact height and width
(people, places)."""


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Return height and width of the largest image that is read at this size."""
    return (size, size) if isinstance(size, int) else size


def read_image(
    path: Path, *, size: ImageSize | None, box: Box | None = None, exif_orientation: ExifOrientation = "ignore"
) -> torch.Tensor:
    """Read one image as uint8, 3 × H × W, RGB, at `size` (None: as stored).

    With a size of one number a query is cut out by its box first and then scaled by the factor that its full image
    would be scaled by; nothing is ever enlarged, aspect is kept (Radenović et al., TPAMI 2018: the evaluation code).
    With two numbers the crop is resized bilinearly to exactly that height and width, as people and places are read.

    Args:
        path: the file, of any type and mode that Pillow reads (see `retrieval.picture_modes.to_rgb`).
        size: see `ImageSize`; None keeps the stored size.
        box: what to cut out first, in pixels of the picture as it is turned; None takes all of it.
        exif_orientation: "apply" turns a photograph upright; "ignore" leaves it as stored, as the code of the published
            benchmarks does.

    Raises:
        UnreadableImagesError: the file is missing, damaged or no image, has too many pixels, or the box does not fit.
    """
    image = _decode(path, exif_orientation)
    full_side = max(image.size)
    if box is not None:
        if (misfit := describe_misfit(box, image.size)) is not None:
            raise UnreadableImagesError({path: misfit})
        image = image.crop(box)
    if isinstance(size, int):
        side = max(1.0, size * max(image.size) / full_side)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    elif size is not None:
        height, width = size
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels_HWC = np.array(image)
    return torch.from_numpy(pixels_HWC).permute(2, 0, 1).contiguous()


def _decode(path: Path, exif_orientation: ExifOrientation) -> Image.Image:
    with opened(path) as file:
        picture = to_rgb(file)
        return turn_upright(picture, file) if exif_orientation == "apply" else picture


class ImageReader:
    """A reader of images at one size that keeps decoded ones in memory while they fit into `cache_bytes`.

    Safe to use from several threads. Returned tensors are shared with the cache: do not write to them.
    """

    def __init__(
        self, size: ImageSize | None, cache_bytes: int = 2 << 30, exif_orientation: ExifOrientation = "ignore"
    ) -> None:
        if size is not None and min(height_and_width(size)) < 1:
            raise ValueError(f"size is {size}; it must be at least 1 pixel, or None for images as stored")
        self.size = size
        self.exif_orientation: ExifOrientation = exif_orientation
        self._free_bytes = cache_bytes
        self._kept: dict[tuple[Path, Box | None], torch.Tensor] = {}
        self._lock = threading.Lock()

    def read(self, path: Path, box: Box | None = None) -> torch.Tensor:
        """Read one image, uint8, 3 × H × W; see `read_image`."""
        kept = self._kept.get((path, box))
        if kept is not None:
            return kept
        image_CHW = read_image(path, size=self.size, box=box, exif_orientation=self.exif_orientation)
        # The first images stay and none is ever dropped: a set larger than the memory is read round and round
        # in the same order, where dropping the oldest would never find anything.
        with self._lock:
            if image_CHW.nbytes <= self._free_bytes and (path, box) not in self._kept:
                self._kept[path, box] = image_CHW
                self._free_bytes -= image_CHW.nbytes
        return image_CHW

    def read_many(self, items: Iterable[tuple[Path, Box | None]]) -> list[torch.Tensor]:
        """Read all images, in order.

        Raises:
            UnreadableImagesError: names every image that could not be read, after all were tried.
        """
        images: list[torch.Tensor] = []
        unreadable: dict[Path, str] = {}
        for path, box in items:
            try:
                images.append(self.read(path, box))
            except UnreadableImagesError as error:
                unreadable.update(error.reasons)
        if unreadable:
            raise UnreadableImagesError(unreadable)
        return images


def normalise(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Convert uint8 RGB, N × 3 × H × W, to float32, normalised by ImageNet's mean and standard deviation."""
    if images_NCHW.dtype != torch.uint8 or images_NCHW.ndim != 4 or images_NCHW.shape[1] != 3:
        raise ValueError(
            f"images are {images_NCHW.dtype} of shape {tuple(images_NCHW.shape)}; they must be uint8, N × 3 × H × W"
        )
    mean_C11 = torch.tensor(IMAGENET_MEAN, device=images_NCHW.device).view(3, 1, 1)
    std_C11 = torch.tensor(IMAGENET_STD, device=images_NCHW.device).view(3, 1, 1)
    return (images_NCHW.float() / 255 - mean_C11) / std_C11

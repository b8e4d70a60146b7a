"""Reading images, cropped and scaled by the benchmarks' protocol, and naming all that cannot be read."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retrieval.datasets.base import Box
from retrieval.text import name_few

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

ImageSize = int | tuple[int, int]
"""One number: the longer side in pixels at most, aspect kept, never enlarged (landmarks). Two: exact height and width
(people, places)."""


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Return height and width of the largest image that is read at this size."""
    return (size, size) if isinstance(size, int) else size


class UnreadableImagesError(ValueError):
    """An error for images that cannot be decoded; its message names the first few.

    Attributes:
        paths: all of them.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        noun = "image" if len(self.paths) == 1 else "images"
        names = name_few([f"{path.parent.name}/{path.name}" for path in self.paths])
        super().__init__(
            f"{len(self.paths)} unreadable {noun}: {names} "
            "(missing, corrupt or not an image: replace them, or take them out of the data set)"
        )

    def __reduce__(self) -> tuple[type["UnreadableImagesError"], tuple[tuple[Path, ...]]]:
        # An exception is pickled with its message for an argument, and this one crosses process borders.
        return type(self), (self.paths,)


def read_image(path: Path, *, size: ImageSize | None, box: Box | None = None) -> torch.Tensor:
    """Read one image as uint8, 3 × H × W, RGB, at `size` (None: as stored).

    With a size of one number a query is cut out by its box first and then scaled by the factor that its full image
    would be scaled by; nothing is ever enlarged, aspect is kept (Radenović et al., TPAMI 2018: the evaluation code).
    With two numbers the crop is resized bilinearly to exactly that height and width, as people and places are read.
    The orientation in a photograph's EXIF data is not applied, as in that code.

    Args:
        path: the file.
        size: see `ImageSize`; None keeps the stored size.
        box: what to cut out first; None takes all of the image.

    Raises:
        UnreadableImagesError: the file is missing, truncated or no image.
    """
    image = _decode(path)
    full_side = max(image.size)
    if box is not None:
        image = image.crop(box)
    if isinstance(size, int):
        side = max(1.0, size * max(image.size) / full_side)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    elif size is not None:
        height, width = size
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels_HWC = np.array(image)
    return torch.from_numpy(pixels_HWC).permute(2, 0, 1).contiguous()


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImagesError([path]) from error


class ImageReader:
    """A reader of images at one size that keeps decoded ones in memory while they fit into `cache_bytes`.

    Safe to use from several threads. Returned tensors are shared with the cache: do not write to them.
    """

    def __init__(self, size: ImageSize | None, cache_bytes: int = 2 << 30) -> None:
        if size is not None and min(height_and_width(size)) < 1:
            raise ValueError(f"size is {size}; it must be at least 1 pixel, or None for images as stored")
        self.size = size
        self._free_bytes = cache_bytes
        self._kept: dict[tuple[Path, Box | None], torch.Tensor] = {}
        self._lock = threading.Lock()

    def read(self, path: Path, box: Box | None = None) -> torch.Tensor:
        """Read one image, uint8, 3 × H × W; see `read_image`."""
        kept = self._kept.get((path, box))
        if kept is not None:
            return kept
        image_CHW = read_image(path, size=self.size, box=box)
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
        unreadable: dict[Path, None] = {}
        for path, box in items:
            try:
                images.append(self.read(path, box))
            except UnreadableImagesError as error:
                unreadable.update(dict.fromkeys(error.paths))
        if unreadable:
            raise UnreadableImagesError(list(unreadable))
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

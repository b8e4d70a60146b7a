"""The error for image files that cannot be read, with the reason of each, and the opening of files that raises it."""

import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from retrieval.text import name_few, one_line, printable

# For the whole process, because a filter that is set for a moment would not hold in other threads. Too many pixels are
# an error below, and damaged EXIF data do not change the picture.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)
MISSING = "missing"
"""The reason of a file that is not there."""
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class UnreadableImagesError(ValueError):
    """An error for images that cannot be read as wanted; its message names the first few, each with its reason.

    Attributes:
        reasons: of all of them, by path.
    """

    def __init__(self, reasons: Mapping[Path, str]) -> None:
        self.reasons = dict(reasons)
        noun = "image" if len(self.reasons) == 1 else "images"
        names = name_few(
            [f"{printable(f'{path.parent.name}/{path.name}')} ({reason})" for path, reason in self.reasons.items()]
        )
        super().__init__(
            f"{len(self.reasons)} unreadable {noun}: {names}: replace them, or take them out of the data set"
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images."""
        return tuple(self.reasons)

    def __reduce__(self) -> tuple[type["UnreadableImagesError"], tuple[dict[Path, str]]]:
        # An exception is pickled with its message for an argument, and this one crosses process borders.
        return type(self), (self.reasons,)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file of any type that Pillow reads; its pixels are decoded when they are asked for.

    Raises:
        UnreadableImagesError: whatever goes wrong with the file, here or inside the block.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableImagesError({path: "no regular file"})  # opening a pipe would wait for ever
        with Image.open(path) as image:
            _check_pixels(image.size)
            yield image
    except (UnreadableImagesError, MemoryError):
        raise
    except Exception as error:  # each decoder meets damage in its own way: struct.error, IndexError, EOFError, …
        raise UnreadableImagesError({path: _reason(path, error)}) from error


def _check_pixels(size: tuple[int, int]) -> None:
    """Refuse a picture between Pillow's limit and twice that: Pillow itself would only warn of it."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and size[0] * size[1] > limit:
        raise Image.DecompressionBombError(f"{size[0]} × {size[1]} exceed the limit of {limit} pixels")


def _reason(path: Path, error: Exception) -> str:
    """Return, in a few words on one line, why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return MISSING
    if isinstance(error, _TOO_LARGE):
        exceeded = one_line(error).partition(",")[0].lower()  # Pillow goes on with a suspicion of an attack
        return f"too many pixels for Pillow: {exceeded}; a smaller copy would be right"
    if isinstance(error, UnidentifiedImageError):
        return "no image that Pillow knows" if path.stat().st_size else "empty file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"damaged: {one_line(error)}"

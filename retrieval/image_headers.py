"""What the headers of image files say, read without decoding them: size, orientation and mode."""

import hashlib
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from retrieval.datasets.base import ExifOrientation
from retrieval.unreadable_images import UnreadableImagesError, opened

_UPRIGHT = 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the value of its orientation tag (Exif 2.32, tag 274)."""
_SWAPS_SIDES = range(5, 9)
_PNG_SIGNATURE_BYTES = 8
_PNG_METADATA = (b"eXIf", b"zTXt", b"tEXt", b"iTXt")


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before its pixels are decoded.

    Attributes:
        size: width and height in pixels of the picture as it is read.
        orientation: of the stored pixels, as the EXIF tag has it: 1 to 8, 1 is upright.
        mode: Pillow's, of the stored pixels: "RGB", "L", "I;16", ….
        has_transparency: in a channel of its own, in its palette, or as one colour.
    """

    size: tuple[int, int]
    orientation: int
    mode: str
    has_transparency: bool = False


def read_header(path: Path, exif_orientation: ExifOrientation) -> ImageHeader:
    """Return what an image's header says; about a tenth of a millisecond, whatever the image's size.

    Args:
        path: the file.
        exif_orientation: whether the picture is turned upright when it is read, which swaps the sides of some.

    Raises:
        UnreadableImagesError: the file is missing, no image, or has too many pixels; damage behind the header is not
            seen.
    """
    with opened(path) as image:
        # Read first: where a PNG's metadata follow its pixels, this decodes it.
        mode, size, has_transparency = image.mode, image.size, image.has_transparency_data
        orientation = _header_orientation(path, image)
        if exif_orientation == "apply" and orientation in _SWAPS_SIDES and not _is_turned_by_pillow(image):
            size = size[::-1]
        return ImageHeader(size, orientation, mode, has_transparency)


def reading_digest(images: Iterable[Path], exif_orientation: ExifOrientation) -> str | None:
    """Return sixteen hex digits of the images that are not read simply as Pillow converts their stored pixels to RGB.

    Those are images that are turned, transparent ones, and grey ones of more than 8 bits. None where there are none: so
    what is known by a hash of its images alone, as published sets are, need not be known by another one.

    Images whose header cannot be read are passed over.

    Args:
        images: of one set, in order.
        exif_orientation: how they are read.
    """
    digest, found = hashlib.sha256(), False
    for number, path in enumerate(images):
        # A JPEG has neither transparency nor more than 8 bits, and its header costs time in sets of a million.
        if exif_orientation == "ignore" and path.suffix.lower() in (".jpg", ".jpeg"):
            continue
        header = _header_or_none(path, exif_orientation)
        if header is not None and (how := _special_reading(header, exif_orientation)):
            digest.update(f"{number} {how}\n".encode())
            found = True
    return digest.hexdigest()[:16] if found else None


def _header_or_none(path: Path, exif_orientation: ExifOrientation) -> ImageHeader | None:
    try:
        return read_header(path, exif_orientation)
    except UnreadableImagesError:
        return None


def _special_reading(header: ImageHeader, exif_orientation: ExifOrientation) -> str:
    turned = exif_orientation == "apply" and header.orientation != _UPRIGHT
    parts = (
        f"turned {header.orientation}" if turned else "",
        f"scaled {header.mode}" if header.mode.startswith(("I", "F")) else "",
        "on white" if header.has_transparency else "",
    )
    return " ".join(part for part in parts if part)


def turn_upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Return a picture turned as the orientation of its file asks.

    Args:
        picture: decoded from `source`, in any mode.
        source: the opened file, decoded.
    """
    turn = None if _is_turned_by_pillow(source) else _TURNS.get(_orientation(source.getexif))
    return picture if turn is None else picture.transpose(turn)


def _is_turned_by_pillow(image: Image.Image) -> bool:
    """Return whether Pillow's decoder turns the picture itself: in TIFF the orientation is no part of EXIF."""
    return image.format == "TIFF"


def _header_orientation(path: Path, image: Image.Image) -> int:
    if image.format == "PNG" and not _has_late_metadata(path):
        # The method of PNG files would decode the image to see whether metadata follow.
        return _orientation(lambda: Image.Image.getexif(image))
    return _orientation(image.getexif)


def _orientation(getexif: Callable[[], Image.Exif]) -> int:
    """Return the value of the orientation tag, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        value = getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except (SyntaxError, ValueError, struct.error):
        return _UPRIGHT  # damaged EXIF data leave the picture as it is, as every viewer does
    return value if value in _TURNS else _UPRIGHT


def _has_late_metadata(path: Path) -> bool:
    """Return whether a PNG has chunks of metadata behind its pixels, where Pillow finds them only by decoding."""
    after_pixels = False
    with path.open("rb") as file:
        file.seek(_PNG_SIGNATURE_BYTES)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if after_pixels and kind in _PNG_METADATA:
                return True
            after_pixels = after_pixels or kind == b"IDAT"
            file.seek(length + 4, os.SEEK_CUR)  # the data, and four bytes of checksum
    return False

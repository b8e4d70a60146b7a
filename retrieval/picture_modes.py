"""The picture that a person sees in an image of any mode of Pillow's, as 8-bit RGB.

Letters: H W height and width.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

_WHITE_8, _WHITE_16 = 255, 65535
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF 6.0, and a value of the second


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit RGB.

    - 8-bit grey, RGB, CMYK, YCbCr, LAB, HSV, palettes and 1-bit: as Pillow converts them, to the bit.
    - Transparency: on white.
    - 16-bit grey: from all of its range, so that 65535 is white (TIFF with fewer bits: its own highest value).
    - 32-bit integers and floats: see `scaled_to_8_bits`.

    Of several frames it is the first.

    Args:
        image: opened, and decoded here.

    Raises:
        ValueError: floats that are not finite.
    """
    if image.mode.startswith("I;16"):
        return _grey(_sixteen_bits(image))
    if image.mode in ("I", "F"):
        return _grey(scaled_to_8_bits(np.asarray(image)))
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def scaled_to_8_bits(values_HW: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return grey values of a type whose white is not fixed, as 0 to 255.

    The narrowest of the usual ranges that holds all values is taken to be meant: 0 to 1 (floats), 0 to 255, 0 to 65535,
    each from black to white. Values beyond them are spread from the lowest, which becomes black, to the highest.

    Raises:
        ValueError: values that are not finite.
    """
    usual = (1, 255, 65535) if values_HW.dtype.kind == "f" else (255, 65535)
    exact_HW = values_HW.astype(np.float64)
    if not np.isfinite(exact_HW).all():
        raise ValueError("pixels that are not finite")
    low, high = float(exact_HW.min()), float(exact_HW.max())
    if low >= 0 and high <= usual[-1]:
        low, high = 0.0, float(next(white for white in usual if high <= white))
    # One value everywhere, beyond every usual range, is drawn black.
    return (exact_HW - low) * (_WHITE_8 / ((high - low) or 1))


def _sixteen_bits(image: Image.Image) -> NDArray[np.float64]:
    """Return 16-bit grey values as 0 to 255, transparent ones white."""
    values_HW = np.asarray(image).astype(np.float64)
    white, inverted = _WHITE_16, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        white = 2 ** max(image.tag_v2.get(_BITS_PER_SAMPLE, (16,))) - 1
        inverted = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # Pillow heeds it in 8 bits only
    grey_HW = values_HW * (_WHITE_8 / white)
    if inverted:
        grey_HW = _WHITE_8 - grey_HW
    if (transparent := image.info.get("transparency")) is not None:
        grey_HW[values_HW == transparent] = _WHITE_8
    return grey_HW


def _grey(values_HW: NDArray[np.float64]) -> Image.Image:
    """Return grey values from 0 to 255 as an image."""
    return Image.fromarray(np.round(values_HW).astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image.convert("LA") if image.mode == "La" else image
    rgba = with_alpha.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.images import read_image
from retrieval.picture_modes import scaled_to_8_bits, to_rgb
from retrieval.unreadable_images import UnreadableImagesError

_GREY_HW = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
_COLOUR_HWC = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def _read(path: Path) -> np.ndarray:
    """Return H×W×3."""
    return read_image(path, size=None).permute(1, 2, 0).numpy()


def _twin(grey_HW: np.ndarray) -> np.ndarray:
    return np.repeat(grey_HW[:, :, None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_look_like_their_eight_bit_twin(tmp_path: Path, suffix: str):
    Image.fromarray(_GREY_HW.astype(np.uint16) * 257).save(tmp_path / f"deep.{suffix}")
    assert np.array_equal(_read(tmp_path / f"deep.{suffix}"), _twin(_GREY_HW))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N"])
def test_sixteen_bits_of_any_order_of_bytes_are_scaled(mode: str):
    deep = Image.new(mode, (3, 2), 0x8080)
    assert np.asarray(to_rgb(deep)).tolist() == np.full((2, 3, 3), 0x80).tolist()


def test_a_large_endian_tiff_and_one_whose_white_is_zero_are_read_as_seen(tmp_path: Path):
    deep = Image.frombytes("I;16B", (40, 30), (_GREY_HW.astype(">u2") * 257).tobytes())
    deep.save(tmp_path / "b.tif")
    assert np.array_equal(_read(tmp_path / "b.tif"), _twin(_GREY_HW))
    Image.fromarray(_GREY_HW.astype(np.uint16) * 257).save(tmp_path / "w.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "w.tif") as stored:
        assert stored.tag_v2[262] == 0
    assert np.array_equal(_read(tmp_path / "w.tif"), _twin(255 - _GREY_HW))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (_GREY_HW.astype(np.int32), _GREY_HW),
        (_GREY_HW.astype(np.int32) * 257, _GREY_HW),
        (_GREY_HW.astype(np.float32), _GREY_HW),
        (_GREY_HW.astype(np.float32) / 255, _GREY_HW),
        (_GREY_HW.astype(np.float32) * 257, _GREY_HW),
        (np.array([[-10, 40]], dtype=np.int32), np.array([[0, 255]])),
        (np.array([[0, 1 << 30]], dtype=np.int32), np.array([[0, 255]])),
        (np.array([[-0.5, 0.0, 0.5]], dtype=np.float32), np.array([[0, 128, 255]])),
        (np.full((2, 2), -7.0, dtype=np.float32), np.zeros((2, 2))),
        (np.full((2, 2), 1e9, dtype=np.float32), np.zeros((2, 2))),
        (np.zeros((2, 2), dtype=np.float32), np.zeros((2, 2))),
        (np.ones((2, 2), dtype=np.float32), np.full((2, 2), 255)),
        (np.zeros((2, 2), dtype=np.int32), np.zeros((2, 2))),
    ],
)
def test_wide_integers_and_floats_are_scaled_from_the_range_that_they_use(tmp_path: Path, values, expected):
    assert np.array_equal(np.round(scaled_to_8_bits(values)), expected)
    Image.fromarray(values).save(tmp_path / "wide.tif")
    assert np.array_equal(_read(tmp_path / "wide.tif"), _twin(expected.astype(np.uint8)))


def test_floats_that_are_not_finite_are_a_reason(tmp_path: Path):
    for bad in (np.nan, np.inf):
        Image.fromarray(np.array([[0.0, bad]], dtype=np.float32)).save(tmp_path / "nan.tif")
        with pytest.raises(UnreadableImagesError, match=r"nan\.tif \(damaged: pixels that are not finite\)"):
            _read(tmp_path / "nan.tif")


def test_what_is_transparent_is_white(tmp_path: Path):
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 128))
    half.putpixel((0, 0), (0, 0, 0, 0))
    half.save(tmp_path / "rgba.png")
    assert _read(tmp_path / "rgba.png").tolist() == [[[255, 255, 255], [255, 127, 127]]]
    half.convert("LA").save(tmp_path / "la.png")
    assert _read(tmp_path / "la.png")[0, 0].tolist() == [255] * 3
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=0)
    palette.save(tmp_path / "p.gif", transparency=0)
    for name in ("p.png", "p.gif"):
        assert _read(tmp_path / name).tolist() == [[[255, 255, 255], [10, 20, 30]]]


@pytest.mark.parametrize(
    ("image", "transparency"),
    [
        (Image.new("L", (2, 1), 9), 9),
        (Image.new("1", (2, 1), 0), 0),
        (Image.new("RGB", (2, 1), (1, 2, 3)), (1, 2, 3)),
        (Image.new("I;16", (2, 1), 300), 300),
        (Image.new("P", (2, 1), 0), b"\0"),
    ],
)
def test_a_transparent_colour_is_white_in_every_mode(tmp_path: Path, image: Image.Image, transparency):
    image.save(tmp_path / "a.png", transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _read(tmp_path / "a.png").tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize("mode", sorted(Image.MODES))
def test_every_mode_becomes_three_channels_of_eight_bits(mode: str):
    assert to_rgb(Image.new(mode, (3, 2))).mode == "RGB"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("pixels", [_GREY_HW, _COLOUR_HWC])
def test_plain_pictures_are_read_as_pillow_converts_them_to_the_bit(tmp_path: Path, suffix: str, pixels: np.ndarray):
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as stored:
        expected = np.asarray(stored.convert("RGB"))
    assert np.array_equal(_read(tmp_path / f"a.{suffix}"), expected)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_printers_colours_are_not_inverted(tmp_path: Path, suffix: str):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / f"red.{suffix}")
    red, green, blue = _read(tmp_path / f"red.{suffix}")[8, 8].tolist()
    assert red > 200
    assert green < 60
    assert blue < 60


def test_other_colour_spaces_keep_their_colours(tmp_path: Path):
    Image.new("LAB", (4, 4), (128, 128, 128)).save(tmp_path / "lab.tif")
    grey = _read(tmp_path / "lab.tif")[0, 0].astype(int)
    assert abs(grey - 119).max() <= 2  # half of the lightness is 119 in sRGB
    assert np.asarray(to_rgb(Image.new("HSV", (1, 1), (0, 255, 255)))).tolist() == [[[255, 0, 0]]]
    Image.new("RGB", (16, 16), (200, 30, 40)).convert("YCbCr").save(tmp_path / "y.tif")
    assert abs(_read(tmp_path / "y.tif")[0, 0].astype(int) - [200, 30, 40]).max() <= 2


def test_of_several_frames_the_first_is_read(tmp_path: Path):
    first, second = (Image.fromarray(_COLOUR_HWC if n else 255 - _COLOUR_HWC).quantize(16) for n in (1, 0))
    for suffix in ("gif", "tif", "png"):
        first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second])
        first.save(tmp_path / f"one.{suffix}")
        assert np.array_equal(_read(tmp_path / f"a.{suffix}"), _read(tmp_path / f"one.{suffix}"))


def test_a_turned_picture_of_sixteen_bits_is_both_turned_and_scaled(tmp_path: Path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(_GREY_HW.astype(np.uint16) * 257).save(tmp_path / "a.png", exif=exif)
    read_CHW = read_image(tmp_path / "a.png", size=None, exif_orientation="apply")
    assert np.array_equal(read_CHW[0].numpy(), np.rot90(_GREY_HW, -1))

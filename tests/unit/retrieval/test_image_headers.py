import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.image_headers import read_header
from retrieval.images import read_image
from retrieval.unreadable_images import UnreadableImagesError

_TAG = 274


def _save(path: Path, orientation: int | None = None, size: tuple[int, int] = (40, 30)) -> Path:
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation is not None:
        exif[_TAG] = orientation
    Image.fromarray(pixels_HWC).save(path, exif=exif)
    return path


def _append_png_exif(path: Path, orientation: int) -> Path:
    """Put an eXIf chunk behind the pixels, where some tools write it."""
    exif = Image.Exif()
    exif[_TAG] = orientation
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    content = path.read_bytes()
    end = content.rindex(b"IEND") - 4
    path.write_bytes(content[:end] + chunk + content[end:])
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("treatment", ["apply", "ignore"])
def test_a_header_has_the_size_that_the_picture_is_read_at(tmp_path, suffix, orientation, treatment):
    path = _save(tmp_path / f"a.{suffix}", orientation)
    header = read_header(path, treatment)
    read_CHW = read_image(path, size=None, exif_orientation=treatment)
    assert header.size == (read_CHW.shape[2], read_CHW.shape[1])
    assert header.orientation == (orientation or 1)
    assert header.mode == "RGB"


def test_an_orientation_behind_the_pixels_of_a_png_is_found(tmp_path):
    path = _append_png_exif(_save(tmp_path / "a.png"), 6)
    assert read_header(path, "apply").size == (30, 40)
    assert tuple(read_image(path, size=None, exif_orientation="apply").shape) == (3, 40, 30)


def test_a_header_is_read_without_decoding(tmp_path):
    for name in ("a.jpg", "a.png"):
        path = _save(tmp_path / name, 6, (400, 300))
        path.write_bytes(path.read_bytes()[:2000])
        assert read_header(path, "apply").size == (300, 400)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_leave_the_picture_as_it_is(tmp_path):
    path = _save(tmp_path / "a.jpg")
    with Image.open(path) as image:
        image.save(tmp_path / "b.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_header(tmp_path / "b.jpg", "apply").orientation == 1
    assert tuple(read_image(tmp_path / "b.jpg", size=None, exif_orientation="apply").shape) == (3, 30, 40)


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_there_is_not_is_upright(tmp_path, value):
    assert read_header(_save(tmp_path / "a.jpg", value), "apply").orientation == 1


def test_a_file_without_a_header_is_named_with_its_reason(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UnreadableImagesError, match=r"empty\.jpg \(empty file\)"):
        read_header(tmp_path / "empty.jpg", "ignore")

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.images import ImageReader, UnreadableImagesError, normalise, read_image


def _save(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0) -> Path:
    pixels_HWC = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels_HWC).save(path)
    return path


def _truncated(path: Path) -> Path:
    _save(path, (200, 150))
    path.write_bytes(path.read_bytes()[:4000])
    return path


def test_two_numbers_are_the_height_and_width_exactly(tmp_path: Path):
    path = _save(tmp_path / "a.png")  # 40 wide, 30 high
    assert tuple(read_image(path, size=(64, 32)).shape) == (3, 64, 32)
    assert tuple(read_image(path, size=(8, 4), box=(0.0, 0.0, 20.0, 10.0)).shape) == (3, 8, 4)


def test_an_image_is_read_as_stored_without_a_size(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png")
    image_CHW = read_image(path, size=None)
    assert image_CHW.dtype == torch.uint8
    expected_HWC = np.asarray(Image.open(path))
    assert np.array_equal(image_CHW.permute(1, 2, 0).numpy(), expected_HWC)


@pytest.mark.parametrize(("size", "shape"), [(20, (3, 15, 20)), (40, (3, 30, 40)), (999, (3, 30, 40))])
def test_an_image_shrinks_to_the_size_but_is_never_enlarged(tmp_path: Path, size: int, shape: tuple[int, ...]) -> None:
    assert tuple(read_image(_save(tmp_path / "a.png"), size=size).shape) == shape


def test_a_grey_image_is_read_with_three_channels(tmp_path: Path) -> None:
    Image.new("L", (8, 6), 77).save(tmp_path / "grey.png")
    image_CHW = read_image(tmp_path / "grey.png", size=None)
    assert tuple(image_CHW.shape) == (3, 6, 8)
    assert image_CHW.unique().tolist() == [77]


def test_box_corners_are_rounded_one_by_one(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png")
    cut_CHW = read_image(path, size=None, box=(3.4, 4.6, 20.6, 15.4))
    assert torch.equal(cut_CHW, read_image(path, size=None)[:, 5:15, 3:21])


def test_a_query_is_scaled_by_the_factor_of_its_full_image(tmp_path: Path) -> None:
    # 200 → 100 halves the full image, so the cut of 80 × 50 becomes 40 × 25.
    path = _save(tmp_path / "a.png", (200, 100))
    assert tuple(read_image(path, size=100, box=(10.0, 10.0, 90.0, 60.0)).shape) == (3, 25, 40)


def test_a_query_is_cut_before_it_is_scaled(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", (200, 100))
    cut = Image.open(path).crop((10, 10, 90, 60))
    cut.thumbnail((40.0, 40.0), Image.Resampling.LANCZOS)
    read_HWC = read_image(path, size=100, box=(10.0, 10.0, 90.0, 60.0)).permute(1, 2, 0).numpy()
    assert np.array_equal(read_HWC, np.asarray(cut))


def test_a_query_smaller_than_a_pixel_after_scaling_keeps_one_pixel(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", (200, 100))
    assert tuple(read_image(path, size=10, box=(0.0, 0.0, 4.0, 2.0)).shape) == (3, 1, 1)


def test_a_truncated_jpeg_is_unreadable(tmp_path: Path) -> None:
    path = _truncated(tmp_path / "jpg" / "half.jpg")
    with pytest.raises(UnreadableImagesError, match=r"^1 unreadable image: jpg/half\.jpg \(") as caught:
        read_image(path, size=None)
    assert caught.value.paths == (path,)


def test_a_web_page_named_jpg_and_a_missing_file_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    for name in ("page.jpg", "missing.jpg"):
        with pytest.raises(UnreadableImagesError, match=name):
            read_image(tmp_path / name, size=None)


def test_reading_many_names_every_unreadable_image(tmp_path: Path) -> None:
    good = _save(tmp_path / "jpg" / "good.jpg")
    bad = [_truncated(tmp_path / "jpg" / f"{letter}.jpg") for letter in "ab"]
    with pytest.raises(UnreadableImagesError) as caught:
        ImageReader(None).read_many([(bad[0], None), (good, None), (bad[1], None), (bad[0], (0.0, 0.0, 5.0, 5.0))])
    assert caught.value.paths == tuple(bad)
    assert str(caught.value).startswith("2 unreadable images: jpg/a.jpg (damaged: image file is truncated")
    assert "\n" not in str(caught.value)


def test_more_than_five_unreadable_images_are_counted() -> None:
    five = UnreadableImagesError({Path(f"jpg/{letter}.jpg"): "missing" for letter in "abcde"})
    seven = UnreadableImagesError({Path(f"jpg/{letter}.jpg"): "missing" for letter in "abcdefg"})
    assert "jpg/e.jpg (missing): " in str(five)
    assert "jpg/e.jpg (missing) and 2 more: " in str(seven)
    assert len(seven.paths) == 7


def test_the_error_survives_pickling() -> None:
    error = UnreadableImagesError({Path("jpg/a.jpg"): "missing"})
    copy = pickle.loads(pickle.dumps(error))
    assert copy.reasons == error.reasons
    assert str(copy) == str(error)


def test_a_reader_keeps_what_it_decoded_apart_by_box(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png")
    reader = ImageReader(None)
    full, cut = reader.read_many([(path, None), (path, (0.0, 0.0, 10.0, 10.0))])
    path.unlink()
    assert reader.read(path) is full
    assert reader.read(path, (0.0, 0.0, 10.0, 10.0)) is cut
    assert full.shape != cut.shape


def test_a_reader_stays_within_its_memory(tmp_path: Path) -> None:
    first, second = (_save(tmp_path / f"{seed}.png", seed=seed) for seed in (1, 2))
    reader = ImageReader(None, cache_bytes=40 * 30 * 3)
    kept, streamed = reader.read(first), reader.read(second)
    assert reader.read(first) is kept
    assert reader.read(second) is not streamed
    assert torch.equal(reader.read(second), streamed)


def test_a_reader_refuses_a_size_below_one_pixel() -> None:
    with pytest.raises(ValueError, match="size is 0; it must be at least 1"):
        ImageReader(0)


def test_normalising_takes_out_the_mean_and_deviation_of_imagenet() -> None:
    images_NCHW = torch.tensor([0, 255, 128], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = [(0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (128 / 255 - 0.406) / 0.225]
    normalised_NCHW = normalise(images_NCHW)
    assert normalised_NCHW.dtype == torch.float32
    torch.testing.assert_close(normalised_NCHW.flatten(), torch.tensor(expected))


def test_normalising_refuses_what_is_normalised_already() -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        normalise(torch.zeros(1, 3, 4, 4))

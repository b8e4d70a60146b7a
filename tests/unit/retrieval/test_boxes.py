import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.boxes import check_boxes, describe_misfit
from retrieval.datasets.base import Query, RetrievalSet
from retrieval.images import ImageReader, read_image
from retrieval.unreadable_images import UnreadableImagesError

_SIZE = (200, 100)


@pytest.mark.parametrize(
    "box",
    [(0.0, 0.0, 200.0, 100.0), (-0.9, -1.0, 201.0, 100.7), (199.0, 99.0, 200.0, 100.0), (136.5, 34.1, 150.5, 90.7)],
)
def test_a_box_fits_to_the_edge_and_to_a_pixel_of_rounding_beyond(tmp_path: Path, box):
    assert describe_misfit(box, _SIZE) is None
    Image.new("RGB", _SIZE).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", size=None, box=box).numel()


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((136.5, 34.1, 201.1, 90.0), r"box 136\.5 34\.1 201\.1 90 leaves the image of 200 × 100 pixels"),
        ((-1.5, 0.0, 20.0, 20.0), "leaves the image"),
        ((0.0, 0.0, 20.0, 160.0), "leaves the image"),
        ((200.0, 0.0, 201.0, 50.0), "less than one pixel of the image"),
        ((10.0, 10.0, 10.4, 50.0), "less than one pixel"),
        ((1.5, 10.0, 2.5, 50.0), "less than one pixel"),  # rounded to even, it is cut to nothing
        ((20.0, 10.0, 20.0, 50.0), "ends before it begins"),
        ((20.0, 50.0, 40.0, 10.0), "ends before it begins"),
        ((math.nan, 10.0, 40.0, 50.0), "corners must be numbers"),
        ((0.0, 0.0, math.inf, 50.0), "corners must be numbers"),
    ],
)
def test_a_box_that_does_not_fit_is_refused_when_it_is_read(tmp_path: Path, box, fault):
    assert describe_misfit(box, _SIZE)
    Image.new("RGB", _SIZE).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImagesError, match=fault) as caught:
        ImageReader(64).read(tmp_path / "a.png", box)
    assert "a.png (" in str(caught.value)
    assert "\n" not in str(caught.value)


def _boxed(folder: Path, *boxes, size=_SIZE, treatment="ignore", orientation: int | None = None) -> RetrievalSet:
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    queries = []
    for number, box in enumerate(boxes):
        Image.new("RGB", size).save(folder / f"{number}.png", exif=exif)
        queries.append(Query(f"q{number}", folder / f"{number}.png", box, np.array([0]), np.array([], dtype=int)))
    return RetrievalSet("town", [folder / "0.png"], tuple(queries), exif_orientation=treatment)


def test_boxes_of_images_that_were_stored_at_half_their_size_are_counted_with_the_likely_cause(tmp_path: Path):
    published = (136.5, 34.1, 648.5, 955.7)
    town = _boxed(tmp_path, published, (10.0, 10.0, 300.0, 400.0), published, published, None, size=(384, 512))
    with pytest.raises(ValueError, match=r"^town: 3 of 4 query boxes do not fit") as caught:
        check_boxes(town)
    message = str(caught.value)
    assert "0.png (box 136.5 34.1 648.5 955.7 leaves the image of 384 × 512 pixels)" in message
    assert "was the image resized or turned after the boxes were drawn?" in message
    assert "1.png" not in message
    assert "\n" not in message


def test_boxes_are_of_the_picture_as_it_is_read(tmp_path: Path):
    tall = (0.0, 0.0, 50.0, 150.0)
    check_boxes(_boxed(tmp_path, tall, treatment="apply", orientation=6))
    with pytest.raises(ValueError, match="1 of 1 query boxes"):
        check_boxes(_boxed(tmp_path, tall, treatment="ignore", orientation=6))


def test_width_and_height_in_place_of_corners_are_told_the_order(tmp_path: Path):
    with pytest.raises(ValueError, match="x1 y1 x2 y2 in pixels") as caught:
        check_boxes(_boxed(tmp_path, (90.0, 60.0, 40.0, 20.0)))
    assert "resized" not in str(caught.value)


def test_images_without_a_readable_header_and_queries_without_a_box_are_passed_over(tmp_path: Path):
    town = _boxed(tmp_path, (0.0, 0.0, 999.0, 999.0), None)
    (tmp_path / "0.png").write_text("no image")
    check_boxes(town)

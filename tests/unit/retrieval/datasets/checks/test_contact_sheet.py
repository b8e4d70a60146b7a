from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.datasets.base import Images, Query, RetrievalSet, TrainingSet
from retrieval.datasets.checks.contact_sheet import draw_sheet

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def colours(file: Path) -> set[tuple[int, ...]]:
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}


@pytest.fixture
def ranked(tmp_path: Path) -> RetrievalSet:
    """A query whose box holds the green half of a red and green image; its answer is blue."""
    halves = np.zeros((60, 80, 3), dtype=np.uint8)
    halves[:, :40], halves[:, 40:] = RED, GREEN
    Image.fromarray(halves).save(tmp_path / "query.png")
    Image.new("RGB", (50, 50), BLUE).save(tmp_path / "answer.png")
    Image.new("RGB", (50, 50), RED).save(tmp_path / "wrong.png")
    query = Query("q", tmp_path / "query.png", (40, 0, 80, 60), np.array([1]), np.empty(0, dtype=np.int64))
    return RetrievalSet("set", Images(tmp_path, ["wrong.png", "answer.png"]), (query,))


def test_the_query_its_box_what_is_read_of_it_and_its_answers_are_drawn(ranked, tmp_path) -> None:
    draw_sheet([ranked], None, tmp_path / "out" / "sheet.png")
    seen = colours(tmp_path / "out" / "sheet.png")
    assert {RED, GREEN, BLUE} <= seen
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    # All are enlarged: the image of 60 × 80 twice, its green half as the network reads it twice, the answer of 50 × 50
    # three times. The box covers a little of both halves of the first.
    counts = {colour: int((pixels == colour).all(axis=2).sum()) for colour in (RED, GREEN, BLUE)}
    half = 4 * 40 * 60
    assert counts[BLUE] == 9 * 50 * 50
    assert half < counts[GREEN] < 2 * half
    assert 0.8 * half < counts[RED] <= half


def test_a_training_set_is_drawn_by_class(tmp_path) -> None:
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        Image.new("RGB", (30, 30), colour).save(tmp_path / f"{name}.png")
    train = TrainingSet(Images(tmp_path, ["a.png", "b.png", "c.png"]), np.array([0, 0, 1]), ("first", "second"))
    draw_sheet([train], 16, tmp_path / "sheet.png")
    assert {RED, GREEN, BLUE} <= colours(tmp_path / "sheet.png")


def test_an_image_that_cannot_be_read_has_its_reason_in_its_place(ranked, tmp_path) -> None:
    (tmp_path / "answer.png").write_bytes(b"no image")
    draw_sheet([ranked], None, tmp_path / "sheet.png")
    assert BLUE not in colours(tmp_path / "sheet.png")


def test_a_file_of_no_image_type_is_refused_before_anything_is_drawn(ranked, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"sheet\.txt has no suffix of an image"):
        draw_sheet([ranked], None, tmp_path / "sheet.txt")


def test_nothing_to_draw_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="nothing can be drawn"):
        draw_sheet([ValueError("refused")], None, tmp_path / "sheet.png")

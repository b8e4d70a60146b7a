import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.datasets.base import Images, Query, RetrievalSet
from retrieval.datasets.distractors import (
    FLICKR_UNREADABLE,
    Joined,
    add_distractors,
    load_flickr100k,
    load_revisitop1m,
)
from retrieval.datasets.left_out import LeftOut


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _base(**more: Any) -> RetrievalSet:
    images = Images(Path("oxford5k/jpg"), ["a.jpg", "b.jpg", "c.jpg"])
    query = Query("q", images[1], None, positives=np.array([1]), junk=np.array([2]))
    return RetrievalSet("oxford5k", images, (query,), **more)


def test_distractors_follow_the_database_so_that_indices_keep_their_meaning() -> None:
    larger = add_distractors(_base(), Images(Path("test/flickr100k"), ["cat/cat_000001.jpg", "cat/cat_000002.jpg"]))
    assert larger.name == "oxford5k+flickr100k"
    assert [path.as_posix() for path in larger.images] == [
        "oxford5k/jpg/a.jpg",
        "oxford5k/jpg/b.jpg",
        "oxford5k/jpg/c.jpg",
        "test/flickr100k/cat/cat_000001.jpg",
        "test/flickr100k/cat/cat_000002.jpg",
    ]
    assert [query.positives.tolist() for query in larger.queries] == [[1]]
    assert larger.protocol == "classic"


def test_images_with_cameras_coordinates_or_panoramas_take_no_distractors() -> None:
    zeros, metres = np.zeros(3, dtype=np.int64), np.zeros((3, 2))
    for more in ({"cameras": (zeros, zeros[:1])}, {"coordinates": (metres, metres[:1])}, {"panorama": 3}):
        with pytest.raises(ValueError, match="to landmark sets only"):
            add_distractors(_base(**more), Images(Path("flickr100k"), ["a.jpg"]))


def test_joined_images_are_a_sequence_like_any_other() -> None:
    joined = Joined(Images(Path("a"), ["0", "1"]), (), Images(Path("b"), ["2", "3", "4"]))
    flat = (*Images(Path("a"), ["0", "1"]), *Images(Path("b"), ["2", "3", "4"]))
    assert len(joined) == 5
    assert tuple(joined) == flat
    assert [joined[index] for index in range(-5, 0)] == list(flat)
    assert joined[1:4] == flat[1:4]
    assert joined[::-2] == flat[::-2]
    assert joined.index(flat[3]) == 3
    for outside in (5, -6):
        with pytest.raises(IndexError, match=f"image {outside} of 5"):
            joined[outside]


def test_flickr_images_are_found_in_all_folders_in_the_order_of_their_names(tmp_path: Path) -> None:
    _touch(tmp_path, "autumn/autumn_000336.jpg", "06/06_000001.jpg", "06/deeper/06_000000.jpg", "Thumbs.db", "x/.y.jpg")
    assert load_flickr100k(tmp_path).names == (
        "06/06_000001.jpg",
        "06/deeper/06_000000.jpg",
        "autumn/autumn_000336.jpg",
    )


def test_the_ten_unreadable_files_of_flickr_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(FLICKR_UNREADABLE) == 10
    _touch(tmp_path, "oxc1_100k/cat/cat_000001.jpg", *(f"oxc1_100k/{name}" for name in FLICKR_UNREADABLE))
    with caplog.at_level(logging.INFO):
        assert load_flickr100k(tmp_path).names == ("oxc1_100k/cat/cat_000001.jpg",)
    assert "files known to be unreadable, left out: 10" in caplog.text


def test_a_missing_flickr_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none is missing or holds no image; it must hold <tag>/<tag>_<number>\.jpg"):
        load_flickr100k(tmp_path / "none")


def test_the_million_is_read_in_the_order_of_its_list_each_once(tmp_path: Path) -> None:
    _touch(tmp_path, "jpg/1/b.jpg", "jpg/0/a.jpg", "jpg/0/not_listed.jpg")
    (tmp_path / "revisitop1m.txt").write_text("1/b.jpg\r\n0/a.jpg\n1/b.jpg\n\n")
    images = load_revisitop1m(tmp_path)
    assert list(images) == [tmp_path / "jpg" / "1" / "b.jpg", tmp_path / "jpg" / "0" / "a.jpg"]
    assert images.root == tmp_path


def test_images_of_the_million_that_are_not_there_are_counted(tmp_path: Path) -> None:
    _touch(tmp_path, "jpg/0/a.jpg", "outside.jpg")
    (tmp_path / "revisitop1m.txt").write_text("0/a.jpg\n0/b.jpg\n../outside.jpg\n")
    with pytest.raises(ValueError, match=r"names 2 of 3 images that are not in .*jpg: 0/b\.jpg, \.\./outside\.jpg; "):
        load_revisitop1m(tmp_path)


def test_a_missing_empty_or_binary_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"revisitop1m\.txt cannot be opened \(No such file"):
        load_revisitop1m(tmp_path)
    for content, said in ((b"\n\n", "is empty"), (b"\xff\xd8\xff", "is no text")):
        (tmp_path / "revisitop1m.txt").write_bytes(content)
        with pytest.raises(ValueError, match=rf"revisitop1m\.txt {said}"):
            load_revisitop1m(tmp_path)


def test_what_is_left_out_beside_distractors_is_counted_with_the_set(tmp_path: Path) -> None:
    _touch(tmp_path, "cat/cat_000001.jpg", "cat/cat_001894.jpg", "cat/notes.txt")
    larger = add_distractors(_base(left_out=LeftOut.of(".txt", ["a.txt"])), load_flickr100k(tmp_path))
    assert str(larger.left_out) == (
        "3 files left out: 2 .txt (a.txt, cat/notes.txt), 1 known to be unreadable (cat/cat_001894.jpg)"
    )


def test_images_beside_the_million_are_counted(tmp_path: Path) -> None:
    _touch(tmp_path, "jpg/1/b.jpg", "jpg/0/not_listed.jpg")
    (tmp_path / "revisitop1m.txt").write_text("1/b.jpg\n")
    assert str(load_revisitop1m(tmp_path).left_out) == "1 file left out: 1 that no list names (0/not_listed.jpg)"

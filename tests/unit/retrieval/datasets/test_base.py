import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.base import Query, RetrievalSet, TrainingSet, fingerprint
from retrieval.datasets.formats.folders import load_folder_per_class


def _query(positives: list[int], junk: list[int], name: str = "all_souls_1") -> Query:
    return Query(name, Path("a.jpg"), None, np.array(positives, dtype=int), np.array(junk, dtype=int))


def _images(count: int) -> tuple[Path, ...]:
    return tuple(Path(f"{index}.jpg") for index in range(count))


def _touch(path: Path, content: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize("positives", [[2, 1], [1, 1]])
def test_a_query_refuses_positives_out_of_order_or_twice(positives: list[int]) -> None:
    with pytest.raises(ValueError, match="'all_souls_1': positives must be sorted and unique"):
        _query(positives, [])


def test_a_query_refuses_an_image_that_is_positive_and_junk() -> None:
    with pytest.raises(ValueError, match=r"\[2\] are positives and junk"):
        _query([1, 2], [2, 3])


def test_a_query_refuses_indices_that_are_not_integers() -> None:
    with pytest.raises(ValueError, match="junk are float64"):
        Query("q", Path("a.jpg"), None, np.array([1]), np.array([1.5]))


@pytest.mark.parametrize("index", [-1, 3])
def test_a_retrieval_set_refuses_an_index_outside_its_database(index: int) -> None:
    with pytest.raises(ValueError, match=rf"database image {index}; indices must be in \[0, 3\)"):
        RetrievalSet("tiny", _images(3), (_query([index], []),))


def test_a_retrieval_set_refuses_two_queries_of_one_name() -> None:
    with pytest.raises(ValueError, match="unique, these are not: all_souls_1"):
        RetrievalSet("tiny", _images(3), (_query([0], []), _query([1], [])))


def test_a_retrieval_set_needs_images_and_queries() -> None:
    with pytest.raises(ValueError, match="3 images and 0 queries"):
        RetrievalSet("tiny", _images(3), ())


def test_a_training_set_refuses_a_class_without_an_image() -> None:
    with pytest.raises(ValueError, match="2 values for 3 classes"):
        TrainingSet(_images(2), np.array([0, 2]), ("a", "b", "c"))


def test_a_training_set_refuses_labels_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"2 images have labels of shape \(3,\)"):
        TrainingSet(_images(2), np.array([0, 1, 1]), ("a", "b"))


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a/9.jpg", "b/1.jpg", "a/notes.txt", ".hidden/x.jpg", "readme.txt"):
        _touch(tmp_path / name)
    training = load_folder_per_class(tmp_path)
    assert training.classes == ("a", "b")
    assert training.labels.tolist() == [0, 1, 1]
    assert [path.relative_to(tmp_path).as_posix() for path in training.images] == [
        "a/9.jpg",
        "b/1.jpg",
        "b/2.jpg",
    ]


def test_a_missing_empty_or_imageless_folder_is_named_with_the_layout_wanted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _touch(tmp_path / "set" / "full" / "1.jpg")
    _touch(tmp_path / "set" / "bare" / "1.txt")
    for root, said in (
        ("missing", "missing is not a folder"),
        ("empty", "empty holds no"),
        ("set", "bare "),
    ):
        with pytest.raises(ValueError, match=rf"{said}.*<root>/<class>/\*\.jpg"):
            load_folder_per_class(tmp_path / root)


def test_a_fingerprint_stays_when_the_data_moves_and_in_any_order(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg"):
        _touch(tmp_path / "here" / name, name)
    before = fingerprint(sorted((tmp_path / "here").rglob("*.jpg")))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert fingerprint(sorted((tmp_path / "there").rglob("*.jpg"), reverse=True)) == before
    assert len(before) == 16


def test_a_fingerprint_changes_with_a_name_a_size_or_a_file_more(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "1.jpg", tmp_path / "b" / "2.jpg"
    for path in (first, second):
        _touch(path)
    seen = [fingerprint([first, second])]
    _touch(second, "xy")
    seen.append(fingerprint([first, second]))
    renamed = second.rename(second.with_name("3.jpg"))
    seen.append(fingerprint([first, renamed]))
    _touch(second, "xy")
    seen.append(fingerprint([first, second, renamed]))
    assert len(set(seen)) == 4


def test_a_fingerprint_takes_names_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff.jpg")
    file.touch()
    assert len(fingerprint([file])) == 16


def test_a_fingerprint_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no files"):
        fingerprint([])

from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.base import Identities, Images, Query, RetrievalSet, TrainingSet
from retrieval.datasets.checks.image_contents import ImageContents
from retrieval.datasets.checks.leaks import find_selection_leaks, find_training_leaks

COUNT = 8


def write(folder: Path, names) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / f"{name}.jpg" for name in names]
    for file in files:
        file.write_text(str(file))
    return files


def ranked(folder: Path, **options) -> RetrievalSet:
    """Write queries 0 to 7, each answered by the image of its number; image 8 is a wrong answer to all."""
    queries = write(folder, [f"query{i}" for i in range(COUNT)])
    images = write(folder, [f"image{i}" for i in range(COUNT + 1)])
    asked = [Query(path.name, path, None, np.array([i]), np.empty(0, dtype=np.int64)) for i, path in enumerate(queries)]
    return RetrievalSet(folder.name, Images(folder, [path.name for path in images]), tuple(asked), **options)


def training(folder: Path, **options) -> TrainingSet:
    images = write(folder, ["a", "b"])
    return TrainingSet(images, np.array([0, 1]), ("a", "b"), **options)


def read(*sets) -> ImageContents:
    paths = [path for each in sets for path in each.images]
    queries = [query.path for each in sets if isinstance(each, RetrievalSet) for query in each.queries]
    return ImageContents.of([*paths, *queries])


def replace(file: Path, by: Path, how: str) -> None:
    file.unlink()
    if how == "link":
        file.symlink_to(by)
    else:
        file.write_bytes(by.read_bytes())


@pytest.fixture
def val(tmp_path) -> RetrievalSet:
    return ranked(tmp_path / "val")


@pytest.fixture
def test(tmp_path) -> RetrievalSet:
    return ranked(tmp_path / "test")


def test_other_images_are_no_leak(val, test, tmp_path):
    train = training(tmp_path / "train")
    contents = read(train, val, test)
    assert find_selection_leaks(val, test, contents) == []
    assert find_training_leaks(train, test, contents) == []


def test_one_set_under_two_spellings_is_refused(val, tmp_path):
    (tmp_path / "again").symlink_to(tmp_path / "val")
    again = ranked(tmp_path / "again")
    (leak,) = find_selection_leaks(val, again, read(val, again))
    assert leak.is_error
    assert leak.text.startswith("again: 8 of its 8 query images are in select_on (val), by content: query0.jpg")


@pytest.mark.parametrize("how", ["link", "copy"])
@pytest.mark.parametrize(("shared", "is_error"), [(1, False), (3, False), (4, True), (8, True)])
def test_shared_queries_are_counted_and_from_half_of_them_on_refused(val, test, how, shared, is_error):
    for mine, theirs in list(zip(test.queries, val.queries, strict=True))[:shared]:
        replace(mine.path, theirs.path, how)
    (leak,) = find_selection_leaks(val, test, read(val, test))
    assert leak.is_error == is_error
    assert f"{shared} of its 8 query images are in select_on" in leak.text


def test_a_query_that_answered_in_the_other_set_is_shared(val, test):
    replace(test.queries[0].path, val.images[3], "copy")
    (leak,) = find_selection_leaks(val, test, read(val, test))
    assert "1 of its 8 query images are in select_on" in leak.text


def test_wrong_answers_may_be_shared(val, test):
    replace(test.images[COUNT], val.images[COUNT], "copy")
    assert find_selection_leaks(val, test, read(val, test)) == []


def test_answers_that_were_trained_on_are_counted(test, tmp_path):
    train = training(tmp_path / "train")
    replace(test.images[2], train.images[0], "copy")
    (leak,) = find_training_leaks(train, test, read(train, test))
    assert not leak.is_error
    assert leak.text.startswith("test: 1 of its 8 right answers are in the training images, by content: image2.jpg")


def test_queries_that_were_trained_on_are_counted(test, tmp_path):
    train = training(tmp_path / "train")
    replace(test.queries[2].path, train.images[0], "link")
    (leak,) = find_training_leaks(train, test, read(train, test))
    assert "its score is one that was trained on" in leak.text


def people(root: Path, *names: str) -> Identities:
    return Identities(root, frozenset(names))


@pytest.mark.parametrize(("protocol", "is_error"), [("market", True), ("classic", False)])
def test_identities_that_are_trained_on(tmp_path, protocol, is_error):
    train = training(tmp_path / "train", identities=people(tmp_path, "a", "b", "c"))
    asked = ranked(tmp_path / "test", protocol=protocol, identities=people(tmp_path, "a", "b", "x"))
    (leak,) = find_training_leaks(train, asked, read(train, asked))
    assert leak.is_error == is_error
    assert leak.text.startswith("test: 2 of its 3 identities are trained on: a, b")


def test_identities_of_two_collections_are_not_compared(tmp_path):
    train = training(tmp_path / "train", identities=people(tmp_path / "one", "0001"))
    asked = ranked(tmp_path / "test", protocol="market", identities=people(tmp_path / "other", "0001"))
    assert find_training_leaks(train, asked, read(train, asked)) == []

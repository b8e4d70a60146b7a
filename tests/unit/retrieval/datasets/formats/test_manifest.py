import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.datasets.formats.manifest import load_manifest, load_manifest_training
from retrieval.datasets.missing import MissingImagesError

_ROWS = [
    ("im/a.jpg", "cat", "test"),
    ("im/b.jpg", "dog", "test"),
    ("im/c.png", "cat", "test"),
    ("d.jpg", "emu", "test"),
    ("im/e.jpg", "cat", "test_query"),
    ("im/f.jpg", "yak", "test_query"),
    ("im/g.jpg", "yak", "train"),
    ("im/h.jpg", "ant", "train"),
    ("im/i.jpg", "yak", "train"),
]


def _write(folder: Path, rows: Sequence[tuple[Any, Any, Any]] = _ROWS, **more: list[Any]) -> Path:
    paths, labels, splits = (list(column) for column in zip(*rows, strict=True))
    for path in paths:
        if path is not None and ".." not in path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    pq.write_table(pa.table({"path": paths, "label": labels, "split": splits, **more}), folder / "manifest.parquet")
    return folder / "manifest.parquet"


def _refusal(file: Path, split: str = "test") -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each caller checks the message
        load_manifest(file, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_database_is_the_rows_of_the_split_in_their_order(tmp_path: Path) -> None:
    found = load_manifest(_write(tmp_path))
    assert (found.name, found.protocol) == ("manifest_test", "classic")
    assert list(found.images) == [tmp_path / name for name in ("im/a.jpg", "im/b.jpg", "im/c.png", "d.jpg")]


def test_query_rows_ask_and_what_has_their_label_is_right(tmp_path: Path) -> None:
    cat, yak = load_manifest(_write(tmp_path)).queries
    assert (cat.name, cat.path, cat.box) == ("im/e.jpg", tmp_path / "im/e.jpg", None)
    assert cat.positives.tolist() == [0, 2]
    assert cat.junk.tolist() == []
    # A label that the database has not: a query without positives stays.
    assert yak.positives.tolist() == []


def test_without_query_rows_each_image_with_a_fellow_asks_and_is_its_own_junk(tmp_path: Path) -> None:
    found = load_manifest(_write(tmp_path, _ROWS[:4]))
    assert [query.name for query in found.queries] == ["im/a.jpg", "im/c.png"]
    assert [query.positives.tolist() for query in found.queries] == [[2], [0]]
    assert [query.junk.tolist() for query in found.queries] == [[0], [2]]


def test_a_query_that_is_in_the_database_too_is_its_own_junk(tmp_path: Path) -> None:
    rows = [("a.jpg", 1, "val"), ("b.jpg", 1, "val"), ("a.jpg", 1, "val_query")]
    query = load_manifest(_write(tmp_path, rows), "val").queries[0]
    assert (query.positives.tolist(), query.junk.tolist()) == ([1], [0])


def test_training_labels_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    training = load_manifest_training(_write(tmp_path))
    assert training.classes == ("ant", "yak")
    assert training.labels.tolist() == [1, 0, 1]
    assert [path.name for path in training.images] == ["g.jpg", "h.jpg", "i.jpg"]


def test_integer_labels_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    rows = [(f"{label}.jpg", label, "train") for label in (10, 9, -1)]
    training = load_manifest_training(_write(tmp_path, rows))
    assert training.classes == ("-1", "9", "10")
    assert training.labels.tolist() == [2, 1, 0]


def test_other_columns_are_left_alone(tmp_path: Path) -> None:
    file = _write(tmp_path, _ROWS[:4], camera=[1, None, 3, 4])
    assert len(load_manifest(file).images) == 4


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_may_be_stored_in_other_ways(tmp_path: Path, kind: pa.DataType) -> None:
    file = _write(tmp_path)
    table = pq.read_table(file)
    pq.write_table(pa.table({name: table[name].cast(kind) for name in table.column_names}), file)
    assert load_manifest(file).queries[0].positives.tolist() == [0, 2]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    file = tmp_path / "m.parquet"
    pq.write_table(pa.table({"path": ["a.jpg"], "class": [1]}), file)
    assert "m.parquet has no column label, split; it needs path, label, split" in _refusal(file)


@pytest.mark.parametrize("column", ["path", "label", "split"])
def test_an_empty_field_is_refused_with_its_row(tmp_path: Path, column: str) -> None:
    rows: list[Any] = [list(row) for row in _ROWS]
    for row in (2, 5):
        rows[row][("path", "label", "split").index(column)] = None
    assert f"column {column} is empty in row 2 (the first is 0), 2 in all" in _refusal(_write(tmp_path, rows))


def test_labels_that_are_neither_texts_nor_integers_are_refused(tmp_path: Path) -> None:
    file = _write(tmp_path, [("a.jpg", 0.5, "test"), ("b.jpg", 0.5, "test")])
    assert "column label holds double; texts or integers are right" in _refusal(file)


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    file = _write(tmp_path)
    for name in ("im/a.jpg", "d.jpg", "im/f.jpg"):  # the last one a query
        (tmp_path / name).unlink()
    assert f"{file} names 3 images that are not in {tmp_path}: im/a.jpg, d.jpg, im/f.jpg;" in _refusal(file)
    with pytest.raises(MissingImagesError) as caught:
        load_manifest(file)
    assert list(caught.value.there) == [tmp_path / name for name in ("im/b.jpg", "im/c.png", "im/e.jpg")]


def test_a_folder_with_the_name_of_an_image_is_no_image(tmp_path: Path) -> None:
    file = _write(tmp_path)
    (tmp_path / "d.jpg").unlink()
    (tmp_path / "d.jpg").mkdir()
    assert "names 1 image that is not in" in _refusal(file)


@pytest.mark.parametrize("path", ["../a.jpg", "im/../../a.jpg"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "below").mkdir()
    file = _write(tmp_path / "below", [*_ROWS, (path, "cat", "test")])
    assert f"lists 1 paths that lead out of their folder, or nowhere: {path!r}" in _refusal(file)


@pytest.mark.parametrize("path", ["a\0.jpg", "a\nb.jpg", ""])
def test_a_path_that_no_file_has_is_refused(tmp_path: Path, path: str) -> None:
    file = _write(tmp_path)
    rows = [*pq.read_table(file).to_pylist(), {"path": path, "label": "cat", "split": "test"}]
    pq.write_table(pa.Table.from_pylist(rows), file)
    assert f"lists 1 paths that lead out of their folder, or nowhere: {path!r}" in _refusal(file)


def test_two_dots_in_a_name_leave_no_folder(tmp_path: Path) -> None:
    file = _write(tmp_path, _ROWS[:4])
    (tmp_path / "im/a.jpg").rename(tmp_path / "im/a..jpg")
    table = pq.read_table(file).to_pylist()
    table[0]["path"] = "im/a..jpg"
    pq.write_table(pa.Table.from_pylist(table), file)
    assert load_manifest(file).images[0].is_file()


def test_an_image_listed_twice_in_a_split_is_named(tmp_path: Path) -> None:
    file = _write(tmp_path, [*_ROWS, ("im/a.jpg", "dog", "test")])
    assert "lists twice in split 'test': im/a.jpg; once is right" in _refusal(file)


def test_a_split_without_rows_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    file = _write(tmp_path)
    assert "no row of split 'val'; its splits are 'test', 'test_query', 'train'" in _refusal(file, "val")
    with pytest.raises(ValueError, match="no row of split 'val'"):
        load_manifest_training(file, "val")


def test_a_split_in_which_no_two_images_show_the_same_has_no_query(tmp_path: Path) -> None:
    assert "no label of split 'test' has two images" in _refusal(_write(tmp_path, [_ROWS[0], _ROWS[1]]))


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    assert "missing.parquet cannot be read" in _refusal(tmp_path / "missing.parquet")
    (tmp_path / "text.parquet").write_text("path,label,split\n" * 9)
    assert "it must be a Parquet file" in _refusal(tmp_path / "text.parquet")
    damaged = _write(tmp_path).read_bytes()
    (tmp_path / "damaged.parquet").write_bytes(damaged[: len(damaged) // 2])
    assert "it must be a Parquet file" in _refusal(tmp_path / "damaged.parquet")


def test_texts_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    file = _write(tmp_path)
    pq.write_table(pq.read_table(file), file, compression="none", use_dictionary=False)
    file.write_bytes(file.read_bytes().replace(b"d.jpg", b"\xff.jpg"))
    assert "manifest.parquet cannot be read" in _refusal(file)


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    file = _write(tmp_path / "split=train")
    assert len(load_manifest(file).images) == 4


def test_images_beside_those_of_a_manifest_are_counted_and_those_of_other_splits_are_not(tmp_path: Path) -> None:
    file = _write(tmp_path)
    for name in ("im/none.webp", "elsewhere/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for opened in (load_manifest(file), load_manifest_training(file)):
        assert str(opened.left_out) == "1 file left out: 1 that no list names (im/none.webp)"


def test_a_manifest_may_lie_in_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    _write(tmp_path).rename(folder / "manifest.parquet")
    (tmp_path / "im").rename(folder / "im")
    (tmp_path / "d.jpg").rename(folder / "d.jpg")
    assert len(load_manifest(folder / "manifest.parquet").images) == 4

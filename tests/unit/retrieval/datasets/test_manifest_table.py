"""The columns of a manifest as they are read; what data sets are made of them is formats/test_manifest.py's."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.datasets.manifest_table import read_columns, read_split_names


def write(folder: Path, **columns: object) -> Path:
    whole = {"path": ["b.jpg", "a.jpg", "b.jpg"], "label": ["x", "y", "x"], "split": ["val", "test", "val_query"]}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**whole, **columns}), folder / "m.parquet")
    return folder / "m.parquet"


def refusal(read: object, file: Path) -> str:
    assert callable(read)
    with pytest.raises(ValueError, match=r"m\.parquet") as caught:
        read(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_keep_their_order_whatever_the_order_of_the_columns(tmp_path):
    file = write(tmp_path)
    pq.write_table(pq.read_table(file).select(["split", "label", "path"]), file)
    assert read_columns(file) == (["b.jpg", "a.jpg", "b.jpg"], ["x", "y", "x"], ["val", "test", "val_query"])


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.int64()])
def test_integer_labels_stay_integers(tmp_path, kind):
    assert read_columns(write(tmp_path, label=pa.array([3, 1, 3], kind)))[1] == [3, 1, 3]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())])
def test_each_way_to_store_texts_is_read(tmp_path, kind):
    texts = pa.array(["x", "y", "x"]).cast(kind)
    assert read_columns(write(tmp_path, label=texts))[1] == ["x", "y", "x"]


def test_a_file_in_many_row_groups_is_read_whole(tmp_path):
    file = write(tmp_path)
    pq.write_table(pa.concat_tables([pq.read_table(file)] * 5), file, row_group_size=2)
    assert [len(column) for column in read_columns(file)] == [15, 15, 15]


def test_a_file_without_rows_has_empty_columns(tmp_path):
    file = write(tmp_path)
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    assert read_columns(file) == ([], [], [])
    assert read_split_names(file) == ()


@pytest.mark.parametrize(
    ("column", "values", "holds", "right"),
    [
        ("path", [1, 2, 3], "int64", "texts"),
        ("split", [1, 2, 3], "int64", "texts"),
        ("split", [b"a", b"b", b"c"], "binary", "texts"),
        ("label", [True, False, True], "bool", "texts or integers"),
        ("label", [["x"], ["y"], ["x"]], "list<", "texts or integers"),
        ("label", [None, None, None], "null", "texts or integers"),
    ],
)
def test_a_column_of_another_type_is_refused_with_its_type_and_the_right_one(tmp_path, column, values, holds, right):
    message = refusal(read_columns, write(tmp_path, **{column: values}))
    assert f"column {column} holds {holds}" in message
    assert message.endswith(f"; {right} are right")


def test_the_first_empty_field_is_named_also_among_categories(tmp_path):
    categories = pa.array(["x", None, None]).dictionary_encode()
    message = refusal(read_columns, write(tmp_path, label=categories))
    assert message.endswith("column label is empty in row 1 (the first is 0), 2 in all")


def test_splits_are_named_once_and_sorted_without_those_of_queries(tmp_path):
    splits = ["val", "test", "val_query", "train", "val", "only_query"]
    file = write(tmp_path, path=list("abcdef"), label=list("xyxyxy"), split=splits)
    assert read_split_names(file) == ("test", "train", "val")


def test_a_folder_that_looks_like_a_partition_names_no_split(tmp_path):
    assert read_split_names(write(tmp_path / "split=other")) == ("test", "val")


def test_splits_are_listed_of_rows_that_have_one(tmp_path):
    assert read_split_names(write(tmp_path, split=["val", None, "test"])) == ("test", "val")


def test_splits_of_a_file_that_has_none_are_refused(tmp_path):
    file = write(tmp_path)
    pq.write_table(pq.read_table(file).drop_columns(["split"]), file)
    assert refusal(read_split_names, file).endswith("it must be Parquet with a column split")
    file.write_bytes(file.read_bytes()[:40])
    assert refusal(read_split_names, file).endswith("it must be Parquet with a column split")

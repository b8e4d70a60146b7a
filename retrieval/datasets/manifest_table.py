"""The columns of a Parquet manifest, checked (`retrieval.datasets.formats.manifest` makes data sets of them)."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.text import one_line

_COLUMNS = ("path", "label", "split")


def read_columns(file: Path) -> tuple[list[str], list[Any], list[str]]:
    """Read the columns `path`, `label` and `split`, one entry a row.

    Args:
        file: the manifest.

    Returns:
        Paths, labels (all texts or all integers), splits.

    Raises:
        ValueError: the file is no Parquet, a column is missing or of another type, or a field is empty; one line.
    """
    table = _table(file)
    paths, labels, splits = (_values(file, table, column) for column in _COLUMNS)
    return paths, labels, splits


def read_split_names(file: Path) -> tuple[str, ...]:
    """List the splits that the manifest names, without `<split>_query`, whose rows belong to `<split>`.

    Args:
        file: the manifest.

    Raises:
        ValueError: the file is no Parquet, or has no column `split`; one line.
    """
    try:
        # Opened here: the library takes no path that is no valid UTF-8.
        with file.open("rb") as opened:
            named = pq.read_table(opened, columns=["split"])["split"].unique().to_pylist()
    except (OSError, KeyError, UnicodeDecodeError, pa.ArrowException) as error:
        raise ValueError(
            f"{file} cannot be read ({one_line(error)}); it must be Parquet with a column split"
        ) from error
    # A row without a split is for `read_columns` to refuse.
    return tuple(sorted(str(split) for split in named if split is not None and not str(split).endswith("_query")))


def _table(file: Path) -> pa.Table:
    try:
        with file.open("rb") as opened, pq.ParquetFile(opened) as parquet:
            missing = [column for column in _COLUMNS if column not in parquet.schema_arrow.names]
            if not missing:
                table = parquet.read(columns=list(_COLUMNS))
                # Texts that are not UTF-8 would be noticed one at a time, later.
                table.validate(full=True)
                return table
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise ValueError(f"{file} cannot be read ({one_line(error)}); it must be a Parquet file") from error
    raise ValueError(f"{file} has no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}")


def _values(file: Path, table: pa.Table, name: str) -> list[Any]:
    column = table.column(name).combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not _is_text(column.type) and not (name == "label" and pa.types.is_integer(column.type)):
        wanted = "texts or integers" if name == "label" else "texts"
        raise ValueError(f"{file}: column {name} holds {column.type}; {wanted} are right")
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(f"{file}: column {name} is empty in row {row} (the first is 0), {column.null_count} in all")
    values: list[Any] = column.to_pylist()
    return values


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)

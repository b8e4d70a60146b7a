"""Descriptors in Arrow and Parquet files of one schema, with their provenance in its metadata.

Columns: ``image``, a string that names it; ``descriptor``, a list of D float32 or float16.
Letters: N images, D descriptor size.
"""

import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_CHECKSUM = "crc32"  # of the descriptors' bytes, in the metadata of an Arrow file


@dataclass(frozen=True, eq=False)
class DescriptorFile:
    """The contents of a file of descriptors.

    Attributes:
        names: of the images, one a row.
        descriptors_ND: float32 or float16.
        provenance: whatever its writer said of its origin.
    """

    names: list[str]
    descriptors_ND: np.ndarray
    provenance: dict[str, str]


def write_arrow(path: Path, names: Sequence[str], descriptors_ND: np.ndarray, provenance: Mapping[str, str]) -> None:
    """Write an Arrow file of one record batch, whole or not at all: a reader sees the old file or the new one.

    Raises:
        ValueError: not one row a name, or neither float32 nor float16.
        OSError: the file cannot be written; nothing of it is left behind.
    """
    batch = _batch(names, descriptors_ND, {**provenance, _CHECKSUM: _checksum(descriptors_ND)})
    with _whole_file(path) as temporary, pa.ipc.new_file(str(temporary), batch.schema) as file:
        file.write_batch(batch)


def map_arrow(path: Path) -> DescriptorFile:
    """Read an Arrow file without a copy: its descriptors are a read-only view of the file in memory.

    Raises:
        ValueError: missing, damaged, or not written by `write_arrow`.
    """
    try:
        with pa.memory_map(str(path)) as source:
            content = _content(pa.ipc.open_file(source).get_batch(0))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no whole file of descriptors: {str(error).splitlines()[0]}") from error
    if content.provenance.pop(_CHECKSUM, None) != _checksum(content.descriptors_ND):
        raise ValueError(f"{path} is damaged: its checksum does not fit")
    return content


def write_parquet(path: Path, names: Sequence[str], parts: Sequence[np.ndarray], provenance: Mapping[str, str]) -> None:
    """Write descriptors as one Parquet file for other programs to read, whole or not at all.

    Args:
        path: the file.
        names: of the images, in the order of the rows.
        parts: the descriptors, N_i×D each.
        provenance: written into the metadata.

    Raises:
        ValueError: not one row a name, or neither float32 nor float16.
        OSError: the file cannot be written; nothing of it is left behind.
    """
    starts = np.cumsum([0, *(len(part) for part in parts)])
    batches = [
        _batch(names[start:stop], part, provenance)
        for part, start, stop in zip(parts, starts[:-1], starts[1:], strict=True)
    ]
    if starts[-1] != len(names):
        raise ValueError(f"{len(names)} names for {starts[-1]} descriptors; each needs one")
    # Descriptors do not compress, and dictionaries of their values would only cost time.
    with _whole_file(path) as temporary:
        pq.write_table(pa.Table.from_batches(batches), temporary, compression="none", use_dictionary=["image"])


def read_parquet(path: Path) -> DescriptorFile:
    """Read such a Parquet file, ours or another's.

    Raises:
        ValueError: missing, damaged, or of another schema.
    """
    try:
        return _content(pq.read_table(path).combine_chunks())
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no Parquet file of descriptors: {str(error).splitlines()[0]}") from error


def _batch(names: Sequence[str], descriptors_ND: np.ndarray, provenance: Mapping[str, str]) -> pa.RecordBatch:
    if descriptors_ND.dtype not in (np.float32, np.float16) or len(names) != len(descriptors_ND):
        raise ValueError(
            f"{len(names)} names for descriptors {descriptors_ND.dtype} of shape {descriptors_ND.shape}; "
            "float32 or float16 with one row a name is right"
        )
    numbers = pa.array(np.ascontiguousarray(descriptors_ND).reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(numbers, descriptors_ND.shape[1])
    batch = pa.record_batch([pa.array(names, pa.string()), lists], names=["image", "descriptor"])
    return batch.replace_schema_metadata(dict(provenance))


def _content(table: "pa.RecordBatch | pa.Table") -> DescriptorFile:
    lists = table.column("descriptor")
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    if not pa.types.is_fixed_size_list(lists.type) or lists.null_count:
        raise ValueError(f"its descriptors are {lists.type}; lists of one size without gaps are right")
    numbers = lists.values.to_numpy(zero_copy_only=True)
    metadata = table.schema.metadata or {}
    return DescriptorFile(
        names=table.column("image").to_pylist(),
        descriptors_ND=numbers.reshape(-1, lists.type.list_size),
        provenance={key.decode(): value.decode() for key, value in metadata.items()},
    )


def _checksum(descriptors_ND: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(descriptors_ND).data):08x}"


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it replaces `path` at the end and is removed after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        yield Path(name)
        # mkstemp makes the file private; descriptors are shared with colleagues.
        os.fchmod(handle, 0o644)
        os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)

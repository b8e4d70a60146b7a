"""Reading the structs of published .mat files by the names of their fields."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.safe_readers.mat_file import read_matrices, read_values

Fields = dict[str, NDArray[Any]]
"""The fields of one struct by name, in the order of the file."""

_WANTED = "it must be a .mat file of MATLAB 5 to 7"


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """Read every variable of a .mat file by its name, as `mat_file.read_values` gives them.

    Raises:
        ValueError: the file is missing, damaged, or holds kinds of values that are not read; one line, with the file.
    """
    try:
        return {name: read_values(matrix) for name, matrix in read_matrices(path.read_bytes()).items()}
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror}); {_WANTED}") from error
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        # Overflow: a size that is infinite.
        raise ValueError(f"{path} cannot be read: {error}; {_WANTED}") from error


def read_struct(path: Path, variable: str) -> Fields:
    """Return the fields of a 1 × 1 struct of a .mat file, in the order in which the file has them.

    Each field is as it is stored: a text an array of one string, a list of texts cells (see `strings`). Raises
    ValueError as `read_variables` does, and when there is no such variable, or it is no struct or several.
    """
    structs = struct_rows(path, read_variables(path), variable)
    if len(structs) != 1:
        raise ValueError(f"{path}: {variable!r} is a row of {len(structs)} structs; it must be one")
    return structs[0]


def struct_rows(path: Path, variables: dict[str, NDArray[Any]], variable: str) -> list[Fields]:
    """Return every struct of an array of structs as its fields by name.

    Args:
        path: the file, for messages.
        variables: as `read_variables` gives them.
        variable: the name of the array.

    Raises:
        ValueError: there is no such variable, or it is no array of structs.
    """
    if variable not in variables:
        raise ValueError(f"{path} holds {sorted(variables)} and no {variable!r}; it must hold a struct of that name")
    structs = variables[variable]
    if structs.dtype.names is None:
        raise ValueError(f"{path}: {variable!r} is {structs.dtype} of shape {structs.shape}; it must be a struct")
    return [dict(zip(structs.dtype.names, row, strict=True)) for row in structs.ravel(order="F")]


def strings(cell: NDArray[Any]) -> list[str]:
    """Return the texts of a cell array, or of the rows of a char array, column by column.

    An empty cell is an empty text.

    Raises:
        ValueError: a cell holds anything but one text.
    """
    return [_text(item) for item in np.asarray(cell).ravel(order="F")]


def _text(item: Any) -> str:
    array = np.asarray(item)
    if array.size > 1 or (array.size and array.dtype.kind != "U"):
        raise ValueError(f"a cell holds {array.dtype} of shape {array.shape}; it must hold one text")
    return str(array.item()) if array.size else ""

"""Writing .mat files of which the same content makes the same bytes."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

_HEADER = b"MATLAB 5.0 MAT-file, the miniature benchmark"
_HEADER_BYTES = 116  # of text, before anything that readers look at


def write_mat(file: Path, variables: dict[str, Any]) -> None:
    """Write a file of MATLAB 5."""
    savemat(file, variables)
    with file.open("r+b") as stream:
        # The header's text has the time of writing, which would make the bytes differ.
        stream.write(_HEADER.ljust(_HEADER_BYTES))


def cells(texts: list[str]) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Return a cell array of one column."""
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column

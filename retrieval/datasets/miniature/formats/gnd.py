"""`gnd_<name>.pkl` and its .mat twin, by cirtorch's and the revisited benchmarks' fields."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.datasets.base import Box
from retrieval.datasets.miniature.formats.mat import cells, write_mat

_PROTOCOL = 2  # of the published files, which Python 2 wrote


@dataclass(frozen=True)
class Listed:
    """One query: its image, and the names in each of its lists (`ok` and `junk`, or `easy`, `hard` and `junk`)."""

    image: str
    box: Box
    lists: dict[str, list[str]]


def write_gnd(root: Path, database: list[str], queries: list[Listed]) -> None:
    """Write both files into `root`, whose name is the benchmark's."""
    index_of = {name: index for index, name in enumerate(database)}
    indices = [{kind: [index_of[name] for name in names] for kind, names in query.lists.items()} for query in queries]
    _write_pickle(root / f"gnd_{root.name}.pkl", database, queries, indices)
    _write_mat(root / f"gnd_{root.name}.mat", database, queries, indices)


def _write_pickle(file: Path, database: list[str], queries: list[Listed], indices: list[dict[str, list[int]]]) -> None:
    gnd: list[dict[str, Any]] = []
    for number, (query, lists) in enumerate(zip(queries, indices, strict=True)):
        # In the published files some lists are arrays.
        stored = lists if number % 2 else {kind: np.array(listed, dtype=np.int64) for kind, listed in lists.items()}
        gnd.append({**stored, "bbx": list(query.box)})
    content = {"imlist": database, "qimlist": [query.image for query in queries], "gnd": gnd}
    with file.open("wb") as stream:
        pickle.dump(content, stream, protocol=_PROTOCOL)


def _write_mat(file: Path, database: list[str], queries: list[Listed], indices: list[dict[str, list[int]]]) -> None:
    """Write the .mat twin: MATLAB counts images from 1, while the published boxes count pixels from 0."""
    kinds = list(queries[0].lists)
    gnd = np.empty((1, len(queries)), dtype=[(field, object) for field in (*kinds, "bbx")])
    for number, (query, lists) in enumerate(zip(queries, indices, strict=True)):
        for kind in kinds:
            gnd[kind][0, number] = np.array([lists[kind]], dtype=np.float64) + 1
        gnd["bbx"][0, number] = np.array([query.box])
    content = {"imlist": cells(database), "qimlist": cells([query.image for query in queries]), "gnd": gnd}
    if "ok" in kinds:
        # The classic queries are images of the database.
        index_of = {name: index for index, name in enumerate(database)}
        content["qidx"] = np.array([[index_of[query.image] + 1.0] for query in queries])
    write_mat(file, content)

"""Pitts30k, Pitts250k, Tokyo 24/7 and TokyoTM: lists of images with coordinates in a MATLAB struct `dbStruct`.

<root>/[datasets/]pitts30k_test.mat
<root>/images/000/000000_pitch1_yaw1.jpg         the database; its folders may also lie in <root> itself
<root>/queries_real/000/...                      the queries; also queries/ or query/, or those of TokyoTM in images/
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.base import RetrievalSet, TrainingSet
from retrieval.datasets.format import SPLITS, Format, Reading, Source
from retrieval.datasets.left_out import OF_OTHER_LISTS
from retrieval.datasets.listing import check_inside, check_on_disk, find_on_disk, list_unnamed
from retrieval.datasets.places import Places, places_to_rank, places_to_train_on
from retrieval.datasets.safe_readers.matlab import read_struct, strings

CUTOUTS = 12
"""Cutouts of a panorama in Tokyo 24/7, one after another in its database."""

_FIELDS = ("dbImageFns", "utmDb", "qImageFns", "utmQ")
_TIMES = ("dbTimeStamp", "qTimeStamp")
# Positions of these fields in files that name them otherwise; TokyoTM has time stamps in between, given last here.
_POSITIONS, _POSITIONS_WITH_TIMES = (1, 2, 3, 4), (1, 2, 4, 5, 3, 6)
_DATABASE_FOLDERS = ("images", "database")
_QUERY_FOLDERS = ("queries_real", "queries", "query")


def load_dbstruct(mat: Path, *, panoramas: bool = False) -> RetrievalSet:
    """Read a split to rank; right answers are at most 25 m away, whatever the file says in `posDistThr`.

    Fields are read by their names, since their order differs between the files, and by position only where the names
    differ. Images are searched beside the file and one folder above it; one may be there as .png or .jpeg where the
    file says .jpg. With `panoramas` each 12 database images are one panorama, of which the best ranked alone counts:
    the original protocol of Tokyo 24/7 (Torii et al., CVPR 2015), which newer code leaves out.

    Where a file has time stamps (TokyoTM, whose queries are images of its database, too), database images of the
    query's own time are junk: they are taken out of its results, as in Arandjelović et al., CVPR 2016.

    Args:
        mat: the file of the split.
        panoramas: whether 12 images are one panorama.

    Raises:
        ValueError: the file cannot be read as a dbStruct, folders or images are not there (counted), lists and
            coordinates are of unequal length, or a database of panoramas is no multiple of 12; one line.
    """
    return places_to_rank(_read(mat), panorama=CUTOUTS if panoramas else 1)


def load_dbstruct_training(mat: Path) -> TrainingSet:
    """Read a split to train on: see `retrieval.datasets.places.places_to_train_on`.

    Args:
        mat: the file of the split.

    Raises:
        ValueError: as `load_dbstruct`.
    """
    return places_to_train_on(_read(mat))


def _read(mat: Path) -> Places:
    database_cell, database_utm, query_cell, query_utm, *times = _fields(mat, read_struct(mat, "dbStruct"))
    database, queries = _names(mat, database_cell), _names(mat, query_cell)
    database_root = _folder(mat, _DATABASE_FOLDERS, database, or_bare=True)
    # With time stamps the queries were taken from the database, and lie in its folder.
    query_root = _folder(mat, _QUERY_FOLDERS + (_DATABASE_FOLDERS if times else ()), queries, or_bare=False)
    root = Path(os.path.commonpath([database_root, query_root]))
    names = _below(root, database_root, database) + _below(root, query_root, queries)
    on_disk = check_on_disk(mat, root, names, find_on_disk(root, names, any_suffix=True))
    return Places(
        mat.stem,
        root,
        on_disk[: len(database)],
        on_disk[len(database) :],
        _coordinates(mat, database_utm, len(database)),
        _coordinates(mat, query_utm, len(queries)),
        _times(mat, times, len(database), len(queries)),
        left_out=list_unnamed(root, on_disk, OF_OTHER_LISTS),
    )


def _fields(mat: Path, struct: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return names and coordinates of the database, those of the queries, and the times of both, if any."""
    if all(name in struct for name in _FIELDS):
        named = _FIELDS + (_TIMES if all(name in struct for name in _TIMES) else ())
        return [np.asarray(struct[name]) for name in named]
    values = [np.asarray(value) for value in struct.values()]
    for positions in (_POSITIONS, _POSITIONS_WITH_TIMES):
        if len(values) > max(positions):
            chosen = [values[position] for position in positions]
            # Names are cells of texts, coordinates and times plain numbers.
            if [value.dtype.kind in "OU" for value in chosen] == [True, False, True, False, False, False][
                : len(chosen)
            ]:
                return chosen
    raise ValueError(f"{mat}: dbStruct has the fields {', '.join(struct)}; {', '.join(_FIELDS)} are needed")


def _names(mat: Path, cell: NDArray[Any]) -> list[str]:
    try:
        names = strings(cell)
    except ValueError as error:
        raise ValueError(f"{mat}: in the list of images {error}") from error
    if not names:
        raise ValueError(f"{mat} lists no image of the database or no query; both are needed")
    check_inside(mat, names)
    return names


def _folder(mat: Path, known: tuple[str, ...], names: list[str], *, or_bare: bool) -> Path:
    """Return where the images lie: a folder of a known name beside the file or one above it, or none with `or_bare`.

    Only the database may be bare: the queries of Pitts250k have the names of database images, and would be found there.
    """
    bases = (mat.absolute().parent, mat.absolute().parent.parent)
    for base in bases:
        folders = [base / name for name in known if (base / name).is_dir()]
        if or_bare and "/" in names[0] and (base / names[0]).parent.is_dir():
            folders.append(base)
        if folders:
            return folders[0]
    raise ValueError(f"{mat}: no folder {' or '.join(known)} in {bases[0]} or {bases[1]}; its images must lie in one")


def _below(root: Path, folder: Path, names: list[str]) -> list[str]:
    prefix = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    return [prefix + name for name in names]


def _coordinates(mat: Path, utm_2N: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return metres east and north, N×2, from the 2×N that MATLAB has."""
    if utm_2N.shape != (2, count) or utm_2N.dtype.kind not in "fiu":
        raise ValueError(
            f"{mat}: {count} images have {utm_2N.dtype} coordinates of shape {utm_2N.shape}; (2, {count}) is right"
        )
    return np.ascontiguousarray(utm_2N.T, dtype=np.float64)


def _times(mat: Path, times: list[NDArray[Any]], *counts: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return when database images and queries were taken, in the file's own unit; None where it does not say."""
    if not times:
        return None
    if [time.size for time in times] != list(counts) or any(time.dtype.kind not in "fiu" for time in times):
        shown = " and ".join(f"{time.dtype} of shape {time.shape}" for time in times)
        raise ValueError(f"{mat}: time stamps are {shown}; {counts[0]} and {counts[1]} numbers are right")
    return times[0].ravel(), times[1].ravel()


def pick_dbstruct(path: Path, split: str) -> Path:
    """Return the .mat file of a split.

    Args:
        path: the folder of the set, or the file itself.
        split: `train`, `val` or `test`.

    Raises:
        ValueError: there is no such file, or more than one to choose from.
    """
    if path.is_file():
        return path
    files = _list_dbstructs(path)
    fitting = [file for file in files if _split_of(file) == split]
    if len(fitting) != 1:
        names = ", ".join(file.name for file in fitting or files) or "no .mat file at all"
        raise ValueError(
            f"{path} holds {len(fitting)} files for split {split!r} ({names}); one is wanted: name its path"
        )
    return fitting[0]


def _list_dbstructs(path: Path) -> list[Path]:
    """List the .mat files that are no `gnd_*.mat`, those of `path` before those of its `datasets/`."""
    if path.is_file():
        return [path] if path.suffix == ".mat" and not path.name.startswith("gnd_") else []
    files = (file for folder in (path, path / "datasets") for file in sorted(folder.glob("*.mat")))
    return [file for file in files if not file.name.startswith("gnd_")]


def _split_of(file: Path) -> str:
    """Return `val` for `pitts30k_val.mat`; a file that names no split, as that of Tokyo 24/7, is a test set."""
    last = file.stem.rpartition("_")[2]
    return last if last in SPLITS else "test"


def _find_sign(path: Path) -> Path | None:
    return next(iter(_list_dbstructs(path)), None)


def _splits(path: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_split_of(file) for file in _list_dbstructs(path)))


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_dbstruct(pick_dbstruct(path, split), panoramas=source.panoramas)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_dbstruct_training(pick_dbstruct(path, split))


FORMAT = Format(
    name="dbstruct",
    title="dbStruct of place recognition",
    layout="<name>_<split>.mat, or datasets/ with them",
    find_sign=_find_sign,
    queries=Reading(_load, "test", _splits),
    training=Reading(_load_training, "train", _splits),
    precedence=40,
    has_panoramas=True,
    class_noun="cells of 10 m",
    set_names={
        "pitts30k": "Pitts30k",
        "pitts250k": "Pitts250k",
        "tokyo247": "Tokyo 24/7",
        "tokyoTM": "Tokyo Time Machine",
    },
)

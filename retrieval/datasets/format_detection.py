"""What gives a data set's format away: each function finds its sign at a path, a folder or the file itself, or None."""

from collections.abc import Iterator
from pathlib import Path

from retrieval.datasets.image_files import IMAGE_SUFFIXES

_MARKET_FOLDERS = ("", "Market-1501-v15.09.15", "market1501")
SPLITS = ("train", "val", "test")


def find_text_ground_truth(path: Path) -> Path | None:
    """`gt/`, with a query file in it."""
    return path / "gt" if _first(path / "gt", "*_query.txt") else None


def find_gnd(path: Path) -> Path | None:
    """`gnd_<name>.pkl`, or else `.mat`."""
    if path.is_file():
        return path if path.name.startswith("gnd_") and path.suffix in (".pkl", ".mat") else None
    return _first(path, "gnd_*.pkl") or _first(path, "gnd_*.mat")


def find_market(path: Path) -> Path | None:
    """`bounding_box_test/`, in `path` or in the inner folder that the archive makes."""
    folders = (path / inner / "bounding_box_test" for inner in _MARKET_FOLDERS)
    return next((folder for folder in folders if folder.is_dir()), None)


def find_market_distractors(path: Path) -> Path | None:
    """`images/` beside it, the 500,000 distractors, where they were fetched."""
    found = find_market(path)
    return found.parent / "images" if found and (found.parent / "images").is_dir() else None


def find_dbstruct(path: Path) -> Path | None:
    """A .mat file that is no `gnd_*.mat`, in `path` or in its `datasets/`."""
    return next(iter(list_dbstructs(path)), None)


def list_dbstructs(path: Path) -> list[Path]:
    """All such files, those of `path` before those of `datasets/`."""
    if path.is_file():
        return [path] if path.suffix == ".mat" and not path.name.startswith("gnd_") else []
    found = (file for folder in (path, path / "datasets") for file in sorted(folder.glob("*.mat")))
    return [file for file in found if not file.name.startswith("gnd_")]


def split_of_dbstruct(file: Path) -> str:
    """`val` of `pitts30k_val.mat`; a file that names no split, as that of Tokyo 24/7, is a test set."""
    last = file.stem.rpartition("_")[2]
    return last if last in SPLITS else "test"


def dbstruct_splits(path: Path) -> tuple[str, ...]:
    """Of the files there."""
    return tuple(dict.fromkeys(split_of_dbstruct(file) for file in list_dbstructs(path)))


def pick_dbstruct(path: Path, split: str) -> Path:
    """The file of a split. Raises ValueError when there is none, or more than one to choose from."""
    if path.is_file():
        return path
    files = list_dbstructs(path)
    found = [file for file in files if split_of_dbstruct(file) == split]
    if len(found) != 1:
        names = ", ".join(file.name for file in found or files) or "no .mat file at all"
        raise ValueError(f"{path} holds {len(found)} files for split {split!r} ({names}); one is wanted: name its path")
    return found[0]


def find_utm(path: Path) -> Path | None:
    """`images/<split>/database/`."""
    return next((path / "images" / split / "database" for split in utm_splits(path)), None)


def utm_splits(path: Path) -> tuple[str, ...]:
    """Of the folders there."""
    return tuple(split for split in SPLITS if (path / "images" / split / "database").is_dir())


def find_sfm(path: Path) -> Path | None:
    """`retrieval-SfM-….pkl` of training pairs beside `ims/`; the `-whiten.pkl` lists images for the whitening alone."""
    files = (file for file in sorted(path.glob("retrieval-SfM-*.pkl")) if not file.stem.endswith("-whiten"))
    return next(files, None)


def find_manifest(path: Path) -> Path | None:
    """A .parquet file."""
    if path.is_file():
        return path if path.suffix == ".parquet" else None
    return _first(path, "*.parquet")


def find_class_folder(path: Path) -> Path | None:
    """A folder that images lie in directly."""
    folders = (folder for folder in sorted(path.glob("*/")) if not folder.name.startswith("."))
    return next((folder for folder in folders if any(_images(folder))), None)


def find_flickr(path: Path) -> Path | None:
    """The folder itself, where it has the name of the Flickr100k archive: nothing else tells its tags from classes."""
    named = "flickr100k" in path.name.lower() or path.name == "oxc1_100k"
    return path if named and find_class_folder(path) else None


def find_revisitop(path: Path) -> Path | None:
    """`revisitop1m.txt`, the list of a million distractors."""
    file = path / "revisitop1m.txt"
    return file if file.is_file() else None


def _images(folder: Path) -> Iterator[Path]:
    return (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)


def _first(folder: Path, pattern: str) -> Path | None:
    return min(folder.glob(pattern), default=None)

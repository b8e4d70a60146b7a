"""MSMT17, people seen by 15 cameras: lists of images in two folders.

<root>/list_train.txt, list_val.txt, list_query.txt, list_gallery.txt     `0000/0000_000_01_0303morning_0015_0.jpg 0`
<root>/train/ and test/, or mask_train_v2/ and mask_test_v2/              the images, in a folder a person

The third number of a name is the camera. All of it may also lie in the folder that the archive makes, `MSMT17_V1/` or
`MSMT17_V2/`.
"""

from collections.abc import Sequence
from pathlib import Path

from retrieval.datasets.base import RetrievalSet, TrainingSet
from retrieval.datasets.format import Format, Reading, Source, fixed_splits
from retrieval.datasets.identities import Gallery, first_of_each_camera, hold_out, to_rank, to_train
from retrieval.datasets.left_out import LeftOut, Listing
from retrieval.datasets.listing import check_inside, check_on_disk, find_on_disk, list_unnamed
from retrieval.datasets.reid_names import PRESETS, name_rule

_INNER = ("", "MSMT17_V1", "MSMT17_V2", "MSMT17")
_TRAIN_FOLDERS, _TEST_FOLDERS = ("train", "mask_train_v2"), ("test", "mask_test_v2")
_TRAIN, _VAL, _QUERY, _GALLERY = (f"list_{kind}.txt" for kind in ("train", "val", "query", "gallery"))


def load_msmt17(root: Path, split: str = "test", pattern: str | None = None) -> RetrievalSet:
    """Read the database and queries of Wei et al., "Person Transfer GAN", CVPR 2018, by the rules of Market-1501.

    Positives show the query's person before another camera, junk the same person before the same one. There is no
    background, and person 0 is one like any other. Persons of the training and of the test lists are others, though
    both are numbered from 0. The split `val` is ours: every 7th identity of `list_train.txt` and `list_val.txt`, whose
    persons are the same; see `retrieval.datasets.formats.market1501.load_market`.

    Args:
        root: the folder of the set.
        split: `test`, or `val`.
        pattern: how files are named, see `retrieval.datasets.reid_names`; None: as published.

    Raises:
        ValueError: a list is missing or empty, names are not by the rule, or images are not there (counted); one line.
    """
    if split == "test":
        database, queries = _read(root, (_GALLERY, _QUERY), _TEST_FOLDERS, pattern)
    elif split == "val":
        _, database = hold_out(_people(root, pattern))
        queries = first_of_each_camera(database)
    else:
        raise ValueError(f"{root}: split {split!r} has no queries; test or val is right")
    name = "msmt17" if split == "test" else f"msmt17_{split}"
    # Persons of the test are numbered from 0 again, and are others.
    return to_rank(name, root, database, queries, kept_in=root / split if split == "test" else root)


def load_msmt17_training(root: Path, split: str = "train", pattern: str | None = None) -> TrainingSet:
    """Read `list_train.txt` and `list_val.txt`, an identity a class.

    `train` is without the identities that `load_msmt17` holds out for `val`; `train_all` is all, as published figures
    are trained.

    Args:
        root: the folder of the set.
        split: `train` or `train_all`.
        pattern: how files are named: see `load_msmt17`.

    Raises:
        ValueError: as `load_msmt17`, and when no identity is left.
    """
    if split not in ("train", "train_all"):
        raise ValueError(f"{root}: split {split!r} is not for training; train or train_all is right")
    people = _people(root, pattern)
    if split == "train":
        people, _ = hold_out(people)
    if not people.sightings.names:
        raise ValueError(f"{root}: {_TRAIN} shows one identity, held out for validation; train_all is right")
    return to_train(root, people)


def _people(root: Path, pattern: str | None) -> Gallery:
    there = [name for name in (_TRAIN, _VAL) if name == _TRAIN or (root / _inner(root) / name).is_file()]
    first, *more = _read(root, there, _TRAIN_FOLDERS, pattern)
    return (first.and_then(more[0]) if more else first).known(root)


def _read(root: Path, lists: Sequence[str], folders: Sequence[str], pattern: str | None) -> list[Gallery]:
    """Return the images of lists whose images lie in one folder, those of each sorted by name.

    What lies there and is in none of the lists counts as left out beside the first.
    """
    inner = _inner(root)
    there = next((folder for folder in folders if (root / inner / folder).is_dir()), None)
    if there is None:
        raise ValueError(f"{root / inner} holds no {' or '.join(folders)}/; the images of {lists[0]} must lie there")
    names_of = {name: _names(root, f"{inner}/{name}" if inner else name, there) for name in lists}
    rule = name_rule(pattern) if pattern is not None else PRESETS["msmt17"]
    unnamed = list_unnamed(root, [name for names in names_of.values() for name in names])
    listings = [Listing(names, LeftOut() if number else unnamed) for number, names in enumerate(names_of.values())]
    return [Gallery.read(name, rule, root, listed) for name, listed in zip(lists, listings, strict=True)]


def _names(root: Path, name: str, folder: str) -> list[str]:
    """Return the images of one list by their names below `root`, sorted."""
    file = root / name
    listed = _lines(file)
    check_inside(file, listed)
    prefix = (Path(name).parent / folder).as_posix()
    names = sorted({f"{prefix}/{image}" for image in listed})
    return check_on_disk(file, root, names, find_on_disk(root, names))


def _lines(file: Path) -> list[str]:
    """Return the first word of each line, a path below the folder of the images; the label behind it is not read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{file} cannot be opened ({error.strerror}); it must list images") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8 ({error.reason}); it must list images") from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise ValueError(f"{file} is empty; it must list one image a line, such as 0000/{PRESETS['msmt17'].example} 0")
    return names


def _inner(root: Path) -> str:
    """Return the name below `root` of the folder that the lists lie in."""
    return next((inner for inner in _INNER if (root / inner / _GALLERY).is_file()), "")


def _find_sign(path: Path) -> Path | None:
    """Return `list_gallery.txt`, in `path` or in the inner folder that the archive makes."""
    files = (path / inner / _GALLERY for inner in _INNER)
    return next((file for file in files if file.is_file() and (file.parent / _QUERY).is_file()), None)


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_msmt17(path, split, source.pattern)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_msmt17_training(path, split, source.pattern)


FORMAT = Format(
    name="msmt17",
    title="MSMT17 lists",
    layout="list_{train,val,query,gallery}.txt, train/ and test/",
    find_sign=_find_sign,
    queries=Reading(_load, "test", fixed_splits("test", "val")),
    training=Reading(_load_training, "train", fixed_splits("train", "train_all")),
    precedence=35,
    has_patterns=True,
    class_noun="identities",
    set_names={"MSMT17_V1": "MSMT17", "MSMT17_V2": "MSMT17", "MSMT17": "MSMT17"},
)

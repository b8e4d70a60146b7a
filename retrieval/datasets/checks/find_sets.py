"""The data sets that lie in a folder, or that a sweep file names, each opened in all its splits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from retrieval.datasets.base import ExifOrientation, Images, RetrievalSet, TrainingSet
from retrieval.datasets.distractors import find_flickr, find_revisitop, load_flickr100k, load_revisitop1m
from retrieval.datasets.format import Format, Source
from retrieval.datasets.registry import FORMATS, choose_format, open_retrieval, open_training, recognise, signs_of

_DEPTH = 3  # data sets lie in <root>/test/<name> at most
_SET_NAMES = {folder: name for known in FORMATS.values() for folder, name in known.set_names.items()}
_Loader = Callable[[Path], Images]
_DISTRACTORS: tuple[tuple[str, Callable[[Path], Path | None], _Loader], ...] = (
    ("a million distractors", find_revisitop, load_revisitop1m),
    ("Flickr100k distractors", find_flickr, load_flickr100k),
)

Given = ParamSpec("Given")
Result = TypeVar("Result")
Opened = RetrievalSet | TrainingSet | Images


@dataclass(frozen=True, eq=False)
class OpenedSet:
    """One split of a data set, or distractors.

    Attributes:
        name: folder and split, or the role that a sweep gives the set, for lines about it.
        title: name and format, for people.
        opened: what was read, or the error of its loader.
        family: equal for sets whose roles belong together: the splits of one set, or the sets of one sweep.
        role: in its family: "train", "val" and "test" must not share images; any other has no such duty.
        class_noun: what the classes of training images are, in the plural.
    """

    name: str
    title: str
    opened: Opened | ValueError
    family: str
    role: str = ""
    class_noun: str = "classes"


def open_all(folder: Path) -> list[OpenedSet]:
    """Open every split of every data set in a folder, and the distractors in it.

    Raises:
        ValueError: the folder is missing, or holds nothing that is known.
    """
    if not folder.is_dir():
        raise ValueError(f"data folder {folder} does not exist")
    opened = [each for path in find_data_sets(folder) for each in _open_set(path, _name_of(path, folder))]
    if not opened:
        recognise(folder)  # raises, and says what is known
    return opened


def _name_of(path: Path, folder: Path) -> str:
    """Return where a set lies below the folder that is checked, or its own name where it is that folder."""
    return path.resolve().name if path == folder else path.relative_to(folder).as_posix()


def find_data_sets(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the folders at most `depth` below `folder` that hold a data set or distractors, none within another."""
    if _distractors_of(folder) or signs_of(folder):
        yield folder
    elif depth:
        for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            yield from find_data_sets(child, depth - 1)


def open_source(
    root: Path, key: str, role: str, source: Source, exif_orientation: ExifOrientation | None = None
) -> OpenedSet:
    """Open the data set that a sweep uses in one role.

    Args:
        root: the data root of the sweep.
        key: of `[data]`, which names the set.
        role: of the set: "train", "val" or "test".
        source: path, format, split and options.
        exif_orientation: how the images are read; None: as the format has it.
    """
    name = f"{key} ({source.path}{f', {source.split}' if source.split else ''})"
    known = _try(choose_format, root / source.path, source)
    if isinstance(known, ValueError):
        return OpenedSet(name, "not known", known, "sweep")
    opened: Opened | ValueError
    if role == "train":
        opened = _try(open_training, root, source, exif_orientation)
    else:
        opened = _try(open_retrieval, root, source, exif_orientation)
    return OpenedSet(name, known.title, opened, "sweep", role, known.class_noun)


def _open_set(path: Path, where: str) -> Iterator[OpenedSet]:
    distractors = _distractors_of(path)
    if distractors is not None:
        title, sign, load = distractors
        yield OpenedSet(where, _titled(title, path, sign), _try(load, path), where)
        return
    for name, sign in signs_of(path).items():
        yield from _open_splits(path, where, sign, FORMATS[name])


def _open_splits(path: Path, where: str, sign: Path, known: Format) -> Iterator[OpenedSet]:
    sources = _try(lambda: list(_sources(path, known)))
    if isinstance(sources, ValueError):
        yield OpenedSet(where, _titled(known.title, path, sign), sources, where)
        return
    for source in sources:
        # Sets that are not split are the folders train, val and test of the one above them.
        name, family, role = (
            (f"{where}: {source.split}", f"{where}, {known.title}", source.split)
            if source.split
            else (where, str(path.parent), path.name)
        )
        for to_train in _readings(role, known):
            opened: Opened | ValueError
            title = known.title
            if to_train:
                opened = _try(open_training, path, source)
            else:
                opened = _try(open_retrieval, path, source)
                if known.title_of is not None and not isinstance(opened, ValueError):
                    title = known.title_of(opened)
            yield OpenedSet(name, _titled(title, path, sign), opened, family, role, known.class_noun)


def _readings(role: str, known: Format) -> tuple[bool, ...]:
    """Return whether a split is read to train on: yes, no, or, where its name does not tell, both."""
    if known.training is None or role.startswith(("val", "test")):
        return (False,)
    return (True,) if role.startswith("train") else (True, False)


def _sources(path: Path, known: Format) -> Iterator[Source]:
    """Yield a source for each split that the set has, else one for all of it."""
    splits = {split for reading in (known.queries, known.training) if reading for split in reading.splits(path)}
    for split in sorted(splits, key=lambda split: (not split.startswith("train"), split)) or [""]:
        yield known.complete(path, Source(format=known.name, split=split or None))


def _distractors_of(path: Path) -> tuple[str, Path, _Loader] | None:
    signs = ((title, sign(path), load) for title, sign, load in _DISTRACTORS)
    return next(((title, sign, load) for title, sign, load in signs if sign is not None), None)


def _titled(title: str, path: Path, sign: Path) -> str:
    known = _SET_NAMES.get(path.resolve().name)
    shown = sign.name if sign == path else sign.relative_to(path).as_posix()
    return f"{known}, {title} ({shown})" if known else f"{title} ({shown})"


def _try(read: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result | ValueError:
    """Return what was read, or the error that refuses it: what else is there is still of interest."""
    try:
        return read(*given, **named)
    except ValueError as error:
        return error

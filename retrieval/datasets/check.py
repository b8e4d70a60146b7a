"""The lines that `check-data` prints about a folder: its data sets, their counts, and every unreadable file."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.datasets.base import Images, RetrievalSet, TrainingSet
from retrieval.datasets.distractors import find_flickr, find_revisitop, load_flickr100k, load_revisitop1m
from retrieval.datasets.format import Format, Source
from retrieval.datasets.missing import MissingImagesError
from retrieval.datasets.registry import FORMATS, open_retrieval, open_training, recognise, signs_of
from retrieval.images import UnreadableImagesError, read_image

_AT_A_TIME = 256  # images handed out to the threads: all of a million would be as many tasks in memory
_DEPTH = 3  # data sets lie in <root>/test/<name> at most
_SET_NAMES = {folder: name for known in FORMATS.values() for folder, name in known.set_names.items()}
_Loader = Callable[[Path], Images]
_DISTRACTORS: tuple[tuple[str, Callable[[Path], Path | None], _Loader], ...] = (
    ("a million distractors", find_revisitop, load_revisitop1m),
    ("Flickr100k distractors", find_flickr, load_flickr100k),
)


@dataclass
class _Seen:
    """The results of a check so far.

    Attributes:
        images: to read, each once, in the order in which data sets list them.
        missing: images that are not there.
        refused: number of data sets that their loaders refused.
    """

    # Texts, not paths: a million paths would take most of a gigabyte.
    images: dict[str, None] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)
    refused: int = 0

    def add(self, images: Iterable[Path]) -> None:
        """Add images to read, each once however many data sets hold it."""
        self.images.update((str(path), None) for path in images)

    def refuse(self, error: ValueError) -> str:
        """Count a data set that cannot be opened, and return the line that says why."""
        self.refused += 1
        if isinstance(error, MissingImagesError):
            self.missing.update((str(path), None) for path in error.paths)
            self.add(error.there)
        return f"refused: {error}"


def describe_data(
    folder: Path, progress: Callable[[int, int], None] = lambda done, total: None, *, threads: int = 1
) -> Iterator[str]:
    """Yield lines that name each data set in `folder` and count what it holds, then one a file that is not sound.

    Args:
        folder: a data set, or folders with some.
        progress: called after each image that was read, with their number so far and in all.
        threads: threads that read images.

    Raises:
        ValueError: the folder holds nothing that is known; or, after the last line, a data set was refused, or an
            image is missing or unreadable; one line.
    """
    if not folder.is_dir():
        raise ValueError(f"data folder {folder} does not exist")
    seen = _Seen()
    data_sets = list(find_data_sets(folder))
    if not data_sets:
        recognise(folder)  # raises, and says what is known
    for path in data_sets:
        where = path.relative_to(folder).as_posix()
        for line in _describe_set(path, seen):
            yield f"{folder if where == '.' else where}: {line}"
    unreadable = 0
    for image in _unreadable(list(seen.images), progress, threads):
        if os.path.isfile(image):
            unreadable += 1
            yield f"unreadable: {_shown(image)}"
        else:
            seen.missing[image] = None
    yield from (f"missing: {_shown(image)}" for image in seen.missing)
    if unreadable or seen.missing or seen.refused:
        raise ValueError(f"{folder}: {_count_faults(unreadable, len(seen.missing), seen.refused)}; named above")
    yield f"{len(seen.images)} images read: all are sound"


def find_data_sets(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the folders at most `depth` below `folder` that hold a data set or distractors, none within another."""
    if _distractors_of(folder) or signs_of(folder):
        yield folder
    elif depth:
        for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            yield from find_data_sets(child, depth - 1)


def _distractors_of(path: Path) -> tuple[str, Path, _Loader] | None:
    signs = ((title, sign(path), load) for title, sign, load in _DISTRACTORS)
    return next(((title, sign, load) for title, sign, load in signs if sign is not None), None)


def _describe_set(path: Path, seen: _Seen) -> Iterator[str]:
    distractors = _distractors_of(path)
    if distractors is not None:
        yield from _describe_distractors(path, *distractors, seen)
        return
    for name, sign in signs_of(path).items():
        yield from _describe_format(path, sign, FORMATS[name], seen)


def _describe_distractors(path: Path, title: str, sign: Path, load: _Loader, seen: _Seen) -> Iterator[str]:
    yield _titled(title, path, sign)
    try:
        images = load(path)
    except ValueError as error:
        yield seen.refuse(error)
    else:
        seen.add(images)
        yield f"{len(images)} images"


def _describe_format(path: Path, sign: Path, known: Format, seen: _Seen) -> Iterator[str]:
    title, lines = known.title, []
    try:
        sources = list(_sources(path, known))
    except ValueError as error:
        sources = []
        lines.append(seen.refuse(error))
    for source in sources:
        split = f"{source.split}: " if source.split else ""
        try:
            opened = open_training(path, source) if _is_training(source, known) else open_retrieval(path, source)
        except ValueError as error:
            lines.append(split + seen.refuse(error))
            continue
        seen.add(opened.images)
        if isinstance(opened, TrainingSet):
            lines.append(split + _count_training(opened, known.class_noun))
            continue
        seen.add(query.path for query in opened.queries)
        lines.append(split + _count_queries(opened))
        title = known.title_of(opened) if known.title_of else title
    yield from (_titled(title, path, sign), *lines)


def _sources(path: Path, known: Format) -> Iterator[Source]:
    """Yield a source for each split that the set has, else one for all of it."""
    splits = {split for reading in (known.queries, known.training) if reading for split in reading.splits(path)}
    for split in sorted(splits, key=lambda split: (not split.startswith("train"), split)) or [""]:
        yield known.complete(path, Source(format=known.name, split=split or None))


def _is_training(source: Source, known: Format) -> bool:
    """Return whether a source is read to train on: splits named `train…`, and class folders, which have no splits."""
    return known.training is not None and (source.split is None or source.split.startswith("train"))


def _titled(title: str, path: Path, sign: Path) -> str:
    known = _SET_NAMES.get(path.resolve().name)
    shown = sign.name if sign == path else sign.relative_to(path).as_posix()
    return f"{known}, {title} ({shown})" if known else f"{title} ({shown})"


def _count_training(training_set: TrainingSet, classes: str) -> str:
    counted = f"{len(training_set.images)} training images of {len(training_set.classes)} {classes}"
    return counted if training_set.pairs_P2 is None else f"{counted}, {len(training_set.pairs_P2)} pairs"


def _count_queries(retrieval_set: RetrievalSet) -> str:
    queries = retrieval_set.queries
    hard = sum(query.hard.size for query in queries)
    alone = sum(not query.positives.size for query in queries)
    parts = [
        f"{len(retrieval_set.images)} images",
        f"{len(queries)} queries" + (f" ({alone} without positives)" if alone else ""),
        f"{sum(query.positives.size for query in queries)} positives" + (f" ({hard} of them hard)" if hard else ""),
        f"{sum(query.junk.size for query in queries)} junk",
    ]
    return f"{retrieval_set.protocol} protocol, {', '.join(parts)}"


def _unreadable(images: list[str], progress: Callable[[int, int], None], threads: int) -> Iterator[str]:
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(images), _AT_A_TIME):
            some = images[start : start + _AT_A_TIME]
            for number, is_sound in enumerate(pool.map(_is_sound, some), start=start):
                if not is_sound:
                    yield images[number]
                progress(number + 1, len(images))


def _is_sound(image: str) -> bool:
    # Opening what is there and no file, a pipe, would wait for ever.
    if not os.path.isfile(image):
        return False
    try:
        read_image(Path(image), size=None)
    except UnreadableImagesError:
        return False
    return True


def _shown(image: str) -> str:
    """Return a path on one line, as any terminal can show it: names on disk are bytes."""
    return image if image.isprintable() else ascii(image)


def _count_faults(unreadable: int, missing: int, refused: int) -> str:
    counted = ((unreadable, "unreadable image"), (missing, "missing image"), (refused, "refused data set"))
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counted if count)

"""What `check-data` finds out about data sets: their counts, doubts, faults, and what a sweep does with them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from retrieval.boxes import check_boxes
from retrieval.datasets.base import ExifOrientation, Images, Protocol, RetrievalSet, TrainingSet
from retrieval.datasets.checks.find_sets import OpenedSet
from retrieval.datasets.checks.finding import Finding
from retrieval.datasets.checks.ground_truth import judge_ground_truth, judge_training
from retrieval.datasets.checks.image_contents import ImageContents
from retrieval.datasets.checks.leaks import find_selection_leaks, find_training_leaks
from retrieval.datasets.missing import MissingImagesError
from retrieval.image_headers import ImageHeader, read_header
from retrieval.images import read_image
from retrieval.text import printable
from retrieval.unreadable_images import MISSING, UnreadableImagesError

_AT_A_TIME = 256  # images handed out to the threads: all of a million would be as many tasks in memory

ShowProgress = Callable[[int, int], None]
"""A function that is called with how many images are done, and of how many."""
Bars = Callable[[str], AbstractContextManager[ShowProgress]]
"""A function from what is being done to a progress bar: `partial(search.terminal.progress_bar, console)`."""
Result = TypeVar("Result")

_RULES: dict[Protocol, str] = {
    "classic": "mAP by the trapezoid rule over the queries that have an answer; junk is taken out of the ranking",
    "revisited": "mAP and mP@1, 5, 10 of the Easy, Medium and Hard protocols; junk is taken out of the ranking",
    "market": "mAP by the trapezoid rule over all queries, CMC@1, 5, 10; images of the query's identity by its own "
    "camera are taken out of the ranking",
    "places": "recall@1, 5, 10, 20 over all queries; what is at most 25 m away is an answer",
}


@dataclass(frozen=True)
class SetSummary:
    """One row of the table of counts.

    Attributes:
        name: folder and split, or the role that a sweep gives the set.
        title: name and format, for people.
        counts: how many images, queries, positives, junk, classes, pairs, …; empty for a set that was refused.
        treatment: what a sweep does with it.
        left_out: the files that lie there and are no part of it, with reasons; "" for none.
    """

    name: str
    title: str
    counts: dict[str, int]
    treatment: str
    left_out: str = ""


@dataclass
class DataCheck:
    """The result of a check.

    Attributes:
        sets: a row each.
        images: number of different image files.
        warnings: doubts, a line each.
        errors: faults, a line each, under what they are faults of, in the singular.
    """

    sets: list[SetSummary] = field(default_factory=list)
    images: int = 0
    warnings: list[str] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def add_error(self, kind: str, line: str) -> None:
        """Add a fault of some kind: "unreadable image"."""
        self.errors.setdefault(kind, []).append(line)

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Add doubts and faults of a ground truth."""
        for finding in findings:
            if finding.is_error:
                self.add_error("useless ground truth", finding.text)
            else:
                self.warnings.append(finding.text)

    @property
    def summary(self) -> str:
        """The faults counted, as `7 unreadable images, 1 refused data set`; "" where there are none."""
        return ", ".join(f"{len(lines)} {_plural(kind, len(lines))}" for kind, lines in self.errors.items())


def check_sets(sets: Sequence[OpenedSet], bars: Bars, *, threads: int = 1, decode: bool = True) -> DataCheck:
    """Check data sets that were opened: what is quick to know first, and the pixels last.

    Args:
        sets: as `retrieval.datasets.checks.find_sets` gives them.
        bars: show how far the images are.
        threads: threads that read images.
        decode: whether every image is decoded; otherwise damage behind its header is not seen.
    """
    check = DataCheck()
    images: dict[str, ExifOrientation] = {}
    for each in sets:
        if isinstance(each.opened, ValueError):
            check.add_error("refused data set", f"{each.name}: {each.opened}")
        images.update((str(path), _orientation_of(each)) for path in _images_of(each))
    # A set that lists what is not there is refused for it; each such image is named as well.
    missing = dict.fromkeys(str(path) for each in sets for path in _missing_of(each))
    paths = [path for path in images if path not in missing]
    headers = _read_headers(paths, bars, threads)
    unreadable = {path: why for path, why in headers.items() if isinstance(why, str)}
    check.add_findings(_judge(sets, threads))
    if decode:
        sound = [path for path in paths if path not in unreadable]
        unreadable |= _decode(sound, bars, threads)
    missing |= dict.fromkeys(path for path, why in unreadable.items() if why == MISSING)
    for path, why in unreadable.items():
        if why != MISSING:
            check.add_error("unreadable image", f"unreadable: {printable(path)}: {why}")
    for path in missing:
        check.add_error("missing image", f"missing: {printable(path)}")
    for each in sets:
        check.sets.append(_summarise(each, headers))
        for line in _misfits(each):
            check.add_error("set with boxes that do not fit", line)
    check.images = len(paths)
    return check


def _images_of(each: OpenedSet) -> Iterator[Path]:
    match each.opened:
        case RetrievalSet() as ranked:
            yield from ranked.images
            yield from (query.path for query in ranked.queries)
        case TrainingSet() as train:
            yield from train.images
        case Images() as distractors:
            yield from distractors
        case MissingImagesError() as refused:
            yield from refused.there


def _missing_of(each: OpenedSet) -> Sequence[Path]:
    return each.opened.paths if isinstance(each.opened, MissingImagesError) else ()


def _orientation_of(each: OpenedSet) -> ExifOrientation:
    return each.opened.exif_orientation if isinstance(each.opened, RetrievalSet | TrainingSet) else "ignore"


def _judge(sets: Sequence[OpenedSet], threads: int) -> Iterator[Finding]:
    """Yield what is wrong with each ground truth, and what the splits of a set share."""
    usable = [each for each in sets if isinstance(each.opened, RetrievalSet | TrainingSet)]
    contents = ImageContents.of((path for each in usable for path in _images_of(each)), threads=threads)
    for each in usable:
        if isinstance(each.opened, RetrievalSet):
            yield from judge_ground_truth(each.opened, contents)
        elif isinstance(each.opened, TrainingSet):
            yield from judge_training(each.name, each.opened, contents)
    for first, second in combinations(usable, 2):
        if first.family == second.family:
            yield from _shared(first, second, contents)


def _shared(first: OpenedSet, second: OpenedSet, contents: ImageContents) -> Iterator[Finding]:
    by_role = {each.role: each.opened for each in (first, second)}
    train, val, test = (by_role.get(role) for role in ("train", "val", "test"))
    if isinstance(train, TrainingSet):
        for ranked in (val, test):
            if isinstance(ranked, RetrievalSet):
                yield from find_training_leaks(train, ranked, contents)
    if isinstance(val, RetrievalSet) and isinstance(test, RetrievalSet):
        yield from find_selection_leaks(val, test, contents)


def _misfits(each: OpenedSet) -> Iterator[str]:
    if isinstance(each.opened, RetrievalSet):
        try:
            check_boxes(each.opened)
        except ValueError as error:
            yield f"{each.name}: {error}"


def _read_headers(paths: Sequence[str], bars: Bars, threads: int) -> dict[str, ImageHeader | str]:
    """Return the header of each image, or why it has none."""

    def read(path: str) -> ImageHeader | str:
        try:
            return read_header(Path(path), "ignore")
        except UnreadableImagesError as error:
            return error.reasons[Path(path)]

    return dict(_each(read, paths, "reading the headers", bars, threads))


def _decode(paths: Sequence[str], bars: Bars, threads: int) -> dict[str, str]:
    """Return the images that cannot be decoded, with the reasons."""

    def read(path: str) -> str | None:
        try:
            read_image(Path(path), size=None)
        except UnreadableImagesError as error:
            return error.reasons[Path(path)]
        return None

    read_all = _each(read, paths, "reading every image once", bars, threads)
    return {path: why for path, why in read_all if why is not None}


def _each(
    read: Callable[[str], Result], paths: Sequence[str], what: str, bars: Bars, threads: int
) -> Iterator[tuple[str, Result]]:
    with bars(what) as show, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), _AT_A_TIME):
            some = paths[start : start + _AT_A_TIME]
            for done, result in enumerate(pool.map(read, some), start=start):
                yield paths[done], result
                show(done + 1, len(paths))


# The table ----------------------------------------------------------------------------------------------------------


def _summarise(each: OpenedSet, headers: dict[str, ImageHeader | str]) -> SetSummary:
    match each.opened:
        case RetrievalSet() as ranked:
            counts, treatment, left_out = _count_queries(ranked), _RULES[ranked.protocol], str(ranked.left_out)
        case TrainingSet() as train:
            counts, left_out = _count_training(train, each.class_noun), str(train.left_out)
            treatment = f"trained on, {each.class_noun} for labels" + (
                ", pairs as listed" if train.pairs_P2 is not None else ""
            )
        case Images() as distractors:
            counts, left_out = {"images": len(distractors)}, str(distractors.left_out)
            treatment = "added to a database as wrong answers, where [data] names it"
        case _:
            return SetSummary(each.name, each.title, {}, "refused")
    turned = _count_turned(each, headers)
    return SetSummary(each.name, each.title, counts, f"{treatment}{turned}", left_out)


def _count_turned(each: OpenedSet, headers: dict[str, ImageHeader | str]) -> str:
    read = (headers.get(str(path)) for path in _images_of(each))
    turned = sum(isinstance(header, ImageHeader) and header.orientation != 1 for header in read)
    if not turned:
        return ""
    applied = "applied" if _orientation_of(each) == "apply" else "ignored, as in the published code"
    return f"; the EXIF orientation of {turned} images is {applied}"


def _count_training(train: TrainingSet, classes: str) -> dict[str, int]:
    counts = {"images": len(train.images), classes: len(train.classes)}
    return counts if train.pairs_P2 is None else {**counts, "pairs": len(train.pairs_P2)}


def _count_queries(ranked: RetrievalSet) -> dict[str, int]:
    queries = ranked.queries
    counts = {
        "images": len(ranked.images),
        "queries": len(queries),
        "without an answer": sum(not query.positives.size for query in queries),
        "positives": sum(query.positives.size for query in queries),
        "hard": sum(query.hard.size for query in queries),
        "junk": sum(query.junk.size for query in queries),
        "boxes": sum(query.box is not None for query in queries),
    }
    always = ("images", "queries", "positives", "junk")
    return {name: count for name, count in counts.items() if count or name in always}


def _plural(noun: str, count: int) -> str:
    """Return the noun of a fault in the plural where that is right: `sets with boxes that do not fit`."""
    head, space, rest = noun.partition(" ")
    if count == 1:
        return noun
    return f"{head}s{space}{rest}" if rest.startswith(("with ", "whose ")) else f"{noun}s"

"""The description of a data set format, and of the part of a sweep file that names one data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, field_validator, model_serializer

from retrieval.datasets.base import ExifOrientation, RetrievalSet, TrainingSet
from retrieval.datasets.reid_names import name_rule

SPLITS = ("train", "val", "test")
"""Names that files and folders use for the splits of a set."""

_LATER = frozenset(("pattern",))

Set = TypeVar("Set", RetrievalSet, TrainingSet)


class Source(BaseModel):
    """One data set of a sweep: its path below the data root, its format, and the part of it to use.

    Attributes:
        path: a folder, or the one file that describes the set.
        format: a name in `retrieval.datasets.registry.FORMATS`; None: recognised.
        split: one of those that the format has; None: `test` for queries (`val` for retrieval-SfM), `train` for
            training.
        distractors: a folder below the data root whose images are added to the database as wrong answers: the million
            of `revisitop1m.txt`, the folder `images` of Market-1501, or else Flickr100k.
        panoramas: only the best cutout of each panorama counts (Tokyo 24/7 in its original protocol).
        pattern: how files of a re-identification set are named: a name in `retrieval.datasets.reid_names.PRESETS`, or a
            regular expression of the whole name with the named groups `identity` and `camera`; None: recognised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = "."
    format: str | None = None
    split: str | None = None
    distractors: str | None = None
    panoramas: bool = False
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _pattern_is_known(cls, value: str | None) -> str | None:
        if value is not None:
            name_rule(value)
        return value

    @model_serializer(mode="wrap")
    def _without_keys_of_later_versions(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Sweeps and maps are known by a hash of this: a key that came later counts only where it is given.
        return {key: value for key, value in write(self).items() if key not in _LATER or value is not None}


class Distractors(Enum):
    """Treatment of `Source.distractors` by a format."""

    REFUSED = "refused"
    ADDED = "added"
    """`retrieval.datasets.registry` appends the images of that folder to the database."""
    READ_BY_FORMAT = "read by format"
    """The format's own reader looks at `Source.distractors`."""


def _no_splits(path: Path) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Reading(Generic[Set]):
    """A way to read sets of one kind, to rank or to train on, from a format.

    Attributes:
        load: reads a set from a path, one of its splits ("" where there are none) and the options of the source.
        default: the split to read where the source names none.
        splits: lists the splits at a path.
    """

    load: Callable[[Path, str, Source], Set]
    default: str = ""
    splits: Callable[[Path], tuple[str, ...]] = _no_splits

    def __call__(self, path: Path, source: Source) -> Set:
        """Read the split that the source names.

        Args:
            path: where the set lies.
            source: its split and options.

        Raises:
            ValueError: the set has no such split, or its loader refuses it; one line.
        """
        if source.split is not None and source.split not in (there := self.splits(path)):
            known = f"there are {', '.join(there)}" if there else "it is not split: leave split out"
            raise ValueError(f"{path} has no split {source.split!r}; {known}")
        return self.load(path, source.split or self.default, source)


def fixed_splits(*splits: str) -> Callable[[Path], tuple[str, ...]]:
    """Return a `Reading.splits` for a format whose sets all have the same splits."""
    return lambda path: splits


def _unchanged(path: Path, source: Source) -> Source:
    return source


@dataclass(frozen=True)
class Format:
    """One way in which data sets lie on disk: the value `FORMAT` that each file of `formats/` exports.

    Attributes:
        name: as in sweep files; also the name of the file that exports it.
        title: a name for people.
        layout: what its folder must hold, for error messages.
        find_sign: finds the file or folder by which the format is recognised at a path; None if it is not there.
        queries: reads a set to rank.
        training: reads a set to train on; None where the format has no training images.
        precedence: where a folder bears the signs of several formats the one with the lowest number is recognised.
        is_fallback: recognised only where no other format is, whatever the precedence.
        distractors: whether the images of other folders can be added to its database, and by whom.
        has_panoramas: whether `Source.panoramas` means anything.
        exif_orientation: how its images are read unless the sweep file says otherwise: "ignore" for the published
            benchmarks, as their code does, "apply" for formats of one's own photographs.
        has_patterns: whether `Source.pattern` means anything.
        class_noun: what the classes of its training images are, in the plural.
        set_names: published sets of this format, folder name → name for people.
        title_of: title of a set that was read, where it says more than `title`.
        complete: what `check-data` reads of a split, given the plain source: for example its distractors, too.
    """

    name: str
    title: str
    layout: str
    find_sign: Callable[[Path], Path | None]
    queries: Reading[RetrievalSet]
    training: Reading[TrainingSet] | None = None
    precedence: int = 500
    is_fallback: bool = False
    distractors: Distractors = Distractors.REFUSED
    has_panoramas: bool = False
    exif_orientation: ExifOrientation = "ignore"
    has_patterns: bool = False
    class_noun: str = "classes"
    set_names: Mapping[str, str] = field(default_factory=dict)
    title_of: Callable[[RetrievalSet], str] | None = None
    complete: Callable[[Path, Source], Source] = _unchanged


def first_match(folder: Path, pattern: str) -> Path | None:
    """Return the first path by name in `folder` that matches a glob pattern; None without one."""
    return min(folder.glob(pattern), default=None)

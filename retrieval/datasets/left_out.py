"""The count of the files that a listing did not take, by reason, with the first few of their names."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from retrieval.text import name_few, printable

HIDDEN = "hidden"
SYSTEM = "left by an operating system"
DEEPER = "in deeper folders"
OUTSIDE = "outside the class folders"
UNLISTED = "that no list names"
OF_OTHER_LISTS = "that other lists name, or none"
SPECIAL = "neither file nor folder"

_SHOWN = 3  # names a reason: a line of a terminal holds no more for all reasons together


@dataclass(frozen=True)
class Few:
    """A number of names, of which the first few are kept.

    Attributes:
        count: of all.
        first: the first of them by order of listing.
    """

    count: int = 0
    first: tuple[str, ...] = ()

    def __add__(self, more: "Few") -> "Few":
        return Few(self.count + more.count, (self.first + more.first)[:_SHOWN])


@dataclass(frozen=True)
class LeftOut:
    """Files and hidden folders that lie where a data set was listed and are no part of it.

    Attributes:
        by_reason: for each reason (a constant of this file, or what `suffix_reason` returns) how many, and the first.
    """

    by_reason: Mapping[str, Few] = field(default_factory=dict)

    @classmethod
    def of(cls, reason: str, names: Iterable[str]) -> "LeftOut":
        """Return the names, all left out for one reason; nothing where there are none."""
        listed = list(names)
        return cls({reason: Few(len(listed), tuple(listed[:_SHOWN]))}) if listed else cls()

    @classmethod
    def count_all(cls, named: Iterable[tuple[str, str]]) -> "LeftOut":
        """Return the count of (reason, name) pairs, in any order."""
        names_of: defaultdict[str, list[str]] = defaultdict(list)
        for reason, name in named:
            names_of[reason].append(name)
        return sum((cls.of(reason, sorted(names_of[reason])) for reason in sorted(names_of)), cls())

    def below(self, folder: str) -> "LeftOut":
        """Return the same with names relative to the folder that holds `folder`."""
        return LeftOut(
            {
                reason: Few(few.count, tuple(f"{folder}/{name}" for name in few.first))
                for reason, few in self.by_reason.items()
            }
        )

    @property
    def count(self) -> int:
        """The number for all reasons together."""
        return sum(few.count for few in self.by_reason.values())

    def __add__(self, more: "LeftOut") -> "LeftOut":
        reasons = dict.fromkeys((*self.by_reason, *more.by_reason))
        return LeftOut(
            {reason: self.by_reason.get(reason, Few()) + more.by_reason.get(reason, Few()) for reason in reasons}
        )

    def __bool__(self) -> bool:
        return bool(self.by_reason)

    def __str__(self) -> str:
        """Return `24 files left out: 20 .heic, needs pillow-heif (a.heic, …), 4 hidden (._b.jpg, …)`; "" for none."""
        if not self:
            return ""
        reasons = sorted(self.by_reason.items(), key=lambda item: (-item[1].count, item[0]))
        noun = "file" if self.count == 1 else "files"
        return f"{self.count} {noun} left out: {', '.join(_told(reason, few) for reason, few in reasons)}"


def _told(reason: str, few: Few) -> str:
    names = [printable(name) for name in few.first]
    more = [""] * (few.count - len(names))
    return f"{few.count} {reason} ({name_few([*names, *more], _SHOWN)})"


@dataclass(frozen=True)
class Listing:
    """The images that were found, and what was not taken for one: the result of one pass over the folders.

    Attributes:
        names: sorted POSIX names.
        left_out: all else.
    """

    names: list[str]
    left_out: LeftOut = field(default_factory=LeftOut)

    def below(self, folder: str) -> "Listing":
        """Return the same with names relative to the folder that holds `folder`."""
        return Listing([f"{folder}/{name}" for name in self.names], self.left_out.below(folder))

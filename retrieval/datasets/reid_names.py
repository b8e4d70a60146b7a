r"""How file names tell who is seen by which camera: the rules of published re-identification sets, and one's own.

A rule is a regular expression that matches a file's whole name, with its suffix or without. It has the named groups
`identity` and `camera`, and `junk` where there is any: `(?P<identity>\d+)_c(?P<camera>\d+)_.*`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.text import did_you_mean, name_few, printable

_NUMBER = re.compile(r"-?[0-9]{1,18}")  # fits into 64 bits
_EXAMPLE = r"(?P<identity>\d+)_c(?P<camera>\d+)_.*"


@dataclass(frozen=True)
class NameRule:
    r"""What a file's name says.

    Attributes:
        name: of the rule, as in `[data] pattern`; "own" for a regular expression that is written there.
        title: of the published set that is named so, for people.
        pattern: matches the whole name, without its suffix or with it.
        example: a name that it matches.
        junk: the identity of images that are neither right nor wrong; None where there is none.
        nobody: the identity of background and strangers: wrong answers, and not trained on; None where there is none.
    """

    name: str
    title: str
    pattern: re.Pattern[str]
    example: str
    junk: int | None = None
    nobody: int | None = None

    def fits(self, names: Iterable[str]) -> bool:
        """Return whether every name is named so."""
        return all(map(self._match, names))

    def read(self, root: Path, names: Sequence[str]) -> "Sightings":
        """Read who is seen on each image; junk is left out.

        Args:
            root: of the names, for the message.
            names: of the images, with their folders.

        Raises:
            ValueError: names are not named so, or an identity or a camera is empty; one line.
        """
        matches = [self._match(name) for name in names]
        strange = [name for name, match in zip(names, matches, strict=True) if not _is_told(match)]
        if strange:
            raise ValueError(
                f"{root} holds {len(strange)} images whose names do not tell identity and camera by the pattern of "
                f"{self.title}: {name_few([printable(name) for name in strange])}; {self.example} would be right, "
                f"or another [data] pattern: {KNOWN_PATTERNS}"
            )
        told = [match for match in matches if match]
        _check_whole_numbers(self, told)
        sightings = Sightings(list(names), *(_values([match[group] for match in told]) for group in _GROUPS))
        return sightings.only(~np.array([self._is_junk(match) for match in told], dtype=bool))

    def shows_nobody(self, sightings: "Sightings") -> NDArray[np.bool_]:
        """Return, for each image, whether it shows background or a stranger."""
        if self.nobody is None or sightings.identities_N.dtype.kind != "i":
            return np.zeros(len(sightings.names), dtype=bool)
        return np.asarray(sightings.identities_N == self.nobody)

    def _match(self, name: str) -> re.Match[str] | None:
        whole = name.rpartition("/")[2]
        return self.pattern.fullmatch(whole.rpartition(".")[0]) or self.pattern.fullmatch(whole)

    def _is_junk(self, match: re.Match[str]) -> bool:
        if "junk" in self.pattern.groupindex and match["junk"]:
            return True
        return self.junk is not None and match["identity"] == str(self.junk)


@dataclass(frozen=True, eq=False)
class Sightings:
    """Images, and who is seen on each by which camera.

    Attributes:
        names: below the root of the set.
        identities_N: integers where all are numbers, else texts.
        cameras_N: likewise.
    """

    names: list[str]
    identities_N: NDArray[Any]
    cameras_N: NDArray[Any]

    def only(self, wanted: NDArray[Any]) -> "Sightings":
        """Return some of the sightings: `wanted` holds their indices, or a boolean for each."""
        chosen = np.arange(len(self.names))[wanted]
        return Sightings([self.names[i] for i in chosen], self.identities_N[chosen], self.cameras_N[chosen])

    def and_then(self, more: "Sightings") -> "Sightings":
        """Return these and then others."""
        return Sightings(
            self.names + more.names,
            np.concatenate(alike(self.identities_N, more.identities_N)),
            np.concatenate(alike(self.cameras_N, more.cameras_N)),
        )


def alike(*values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the arrays as they are where all hold integers, else all as texts."""
    return list(values) if all(each.dtype.kind == "i" for each in values) else [each.astype(str) for each in values]


def name_rule(pattern: str) -> NameRule:
    """Return the rule that `[data] pattern` names, or the one that it writes out.

    Args:
        pattern: a name in `PRESETS`, or a regular expression.

    Raises:
        ValueError: it is neither, or lacks one of the two groups; one line.
    """
    if pattern in PRESETS:
        return PRESETS[pattern]
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"pattern {pattern!r} is no regular expression ({error}); right would be {KNOWN_PATTERNS}"
        ) from error
    lacking = [group for group in _GROUPS if group not in compiled.groupindex]
    if lacking:
        raise ValueError(
            f"pattern {pattern!r}{did_you_mean(pattern, PRESETS)} lacks the named group {' and '.join(lacking)}; "
            f"right would be {KNOWN_PATTERNS}"
        )
    unknown = sorted(compiled.groupindex.keys() - {*_GROUPS, "junk"})
    if unknown:
        raise ValueError(f"pattern {pattern!r} has the group {name_few(unknown)}; identity, camera and junk are known")
    return NameRule("own", f"{pattern!r}", compiled, "a name that it matches as a whole")


def _preset(name: str, title: str, pattern: str, example: str, **more: int) -> NameRule:
    return NameRule(name, title, re.compile(pattern, re.ASCII), example, **more)


_GROUPS = ("identity", "camera")
PRESETS = {
    rule.name: rule
    for rule in (
        # Zheng et al., ICCV 2015: -1 is junk, 0 background.
        _preset(
            "market1501",
            "Market-1501",
            r"(?P<identity>-1|\d{1,9})_c(?P<camera>0*[1-9]\d{0,4})(?:\D.*)?",
            "0002_c1s1_000451_03.jpg",
            junk=-1,
            nobody=0,
        ),
        # Liu et al., ICME 2016: 776 vehicles, 20 cameras.
        _preset(
            "veri",
            "VeRi-776",
            r"(?P<identity>\d{1,9})_c(?P<camera>\d{3})_\d+_\d+",
            "0002_c002_00030600_0.jpg",
        ),
        # Zheng et al., ICCV 2017: 1,812 persons of Ristani et al.'s DukeMTMC, 8 cameras.
        _preset(
            "dukemtmc",
            "DukeMTMC-reID",
            r"(?P<identity>\d{4,9})_c(?P<camera>[1-8])_f\d+",
            "0001_c2_f0046182.jpg",
        ),
        # Wei et al., CVPR 2018: 4,101 persons, the first of them 0, 15 cameras.
        _preset(
            "msmt17",
            "MSMT17",
            r"(?P<identity>\d{4,9})_\d{3}_(?P<camera>\d{2})_\d{4}\w+_\d+_\d+(?:_\w+)?",
            "0000_000_01_0303morning_0015_0.jpg",
        ),
        # Zhong et al., CVPR 2017, the new protocol of Li et al.'s CUHK03: 1,467 persons, 2 cameras.
        _preset("cuhk03", "CUHK03", r"(?P<identity>\d{4,9})_c(?P<camera>[12])_\d+", "0001_c1_1.png"),
    )
}
"""Rules of published sets, by the name that `[data] pattern` knows them by."""

KNOWN_PATTERNS = f"{', '.join(PRESETS)}, or a regular expression of the whole name, such as '{_EXAMPLE}'"
"""For messages: what `[data] pattern` may be."""


def _is_told(match: re.Match[str] | None) -> bool:
    return match is not None and all(match[group] for group in _GROUPS)


def _values(texts: list[str]) -> NDArray[Any]:
    """Return integers where every text is one, else texts, in which a number has no zeros before it."""
    numbers = [_NUMBER.fullmatch(text) is not None for text in texts]
    if all(numbers):
        return np.array(texts, dtype=np.int64)
    plain = [str(int(text)) if is_number else text for text, is_number in zip(texts, numbers, strict=True)]
    return np.array(plain, dtype=str)


def _check_whole_numbers(rule: NameRule, matches: list[re.Match[str]]) -> None:
    """Check that no pattern takes `1` out of `c12` where other names have `c2`: cameras 1 and 12 would be one."""
    for group in _GROUPS:
        cut = [match for match in matches if _digits_after(match, group)]
        if cut and len({_digits_after(match, group) for match in matches}) > 1:
            raise ValueError(
                f"pattern {rule.title} cuts a number: {group} is {cut[0][group]!r} in {cut[0].string!r}; "
                rf"a group that takes all of its digits, such as (?P<{group}>\d+), is right"
            )


def _digits_after(match: re.Match[str], group: str) -> int:
    """Return how many digits follow those at the end of a group."""
    rest = match.string[match.end(group) :]
    return len(rest) - len(rest.lstrip("0123456789")) if match[group][-1].isdigit() else 0

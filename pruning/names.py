"""Parts of error messages that name what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that is spelled most like `name`, however unlike it is.

    Raises:
        ValueError: no name is known.
    """
    matches = get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    if not matches:
        raise ValueError(f"no name is known that could be near {name!r}")
    return matches[0]


def close_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is probably a misspelling of; None where none is like it."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: the one probably meant, or all that are known."""
    names = list(known)
    near = close_name(name, names)
    return f"did you mean {near!r}?" if near else f"known are {', '.join(names)}"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return an error message about an unknown name, with all that are known and the nearest.

    Args:
        kind: what has such names, as "method".
        name: the unknown one.
        known: all that are known; at least one.
    """
    names = list(known)
    return f"unknown {kind} {name!r}; known: {', '.join(names)}; nearest: {nearest_name(name, names)!r}"

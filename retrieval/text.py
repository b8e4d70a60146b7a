"""Texts for messages of one line: errors of libraries, long lists of names, and names that were misspelt."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, or the name of its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


def name_few(names: Sequence[str], limit: int = 5) -> str:
    """Return the names for a message of one line: all of them, or the first `limit` and how many more."""
    listed = ", ".join(names[:limit])
    return listed if len(names) <= limit else f"{listed} and {len(names) - limit} more"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the known name that is most like `name`, or an empty text without one."""
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def choose(kind: str, table: dict[str, Entry], name: str) -> Entry:
    """Return the entry of a table by name.

    Args:
        kind: what the table holds, for the message.
        table: entries by name.
        name: the one that is wanted.

    Raises:
        ValueError: it is not there; the message has the known names and the one that is most like it.
    """
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}{did_you_mean(name, table)}: known are {', '.join(table)}")
    return table[name]

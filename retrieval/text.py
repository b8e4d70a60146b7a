"""Texts for messages of one line: errors of libraries, lists of names, names misspelt; and names of files as text."""

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

_ESCAPED = "./"

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


def printable(text: str) -> str:
    r"""Return the text as any terminal and any file in UTF-8 can hold it, on one line.

    Names on disk are bytes: what is no UTF-8 in them, and what cannot be printed, is shown escaped, as `caf\xe9.jpg`.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def need_text(path: Path, what: str) -> None:
    """Check that a path can be written into files and URIs, as that of a folder with results is.

    Args:
        path: of a folder or file.
        what: it is, for the message.

    Raises:
        ValueError: it is no valid UTF-8; one line that shows it escaped.
    """
    if not is_text(str(path)):
        raise ValueError(f"{what} {printable(str(path))} is no name in UTF-8; rename it, or name another")


def as_utf8(text: str) -> str:
    """Return the text with whatever UTF-8 cannot hold escaped: a name of a file in a message may have such bytes."""
    return text.encode(errors="backslashreplace").decode()


def name_to_text(name: str) -> str:
    """Return a file's name as text that UTF-8 can hold, from which `name_from_text` returns it.

    A name that is valid UTF-8, as nearly all are, is its own text. Any other is written in the escapes of a URI behind
    `./`, with which no name below a folder begins: `./caf%E9.jpg` is that of a file named in Latin-1.

    Args:
        name: POSIX, relative, as Python decodes it (PEP 383).
    """
    return name if is_text(name) and not name.startswith(_ESCAPED) else _ESCAPED + quote(os.fsencode(name))


def name_from_text(text: str) -> str:
    """Return the name that `name_to_text` wrote."""
    return os.fsdecode(unquote_to_bytes(text.removeprefix(_ESCAPED))) if text.startswith(_ESCAPED) else text


def is_text(name: str) -> bool:
    """Return whether a file's name is valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that is no text, as Python keeps it (PEP 383)
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()

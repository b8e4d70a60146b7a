"""Help for error messages that name what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that is spelled most like `name`; of equals, the first in alphabetical order.

    Raises ValueError when no name is known.
    """
    matches = get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    if not matches:
        raise ValueError(f"no name is known that could be near {name!r}")
    return matches[0]

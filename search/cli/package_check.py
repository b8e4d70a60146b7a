"""A check that `search`, `spaces`, … are imported from this repository: other packages may have such generic names."""

from importlib.util import find_spec
from pathlib import Path

from search.errors import FailedError

PACKAGES = ("pruning", "retrieval", "spaces", "tracking", "trainables", "search")


def check_names() -> None:
    """Check that every one of our packages would be imported from this repository.

    Raises:
        FailedError: one would not; names it and where it comes from.
    """
    root = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != root:
            raise FailedError(
                f"package {name!r} resolves to {origin}, not to {root / name}: run `python -m search` from this "
                "project's own environment, with nothing of that name in the working directory or PYTHONPATH"
            )

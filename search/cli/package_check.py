"""Are `search`, `spaces`, … the packages of this repository? Their names are generic: others may come first."""

from importlib.util import find_spec
from pathlib import Path

from search.errors import FailedError

PACKAGES = ("pruning", "retrieval", "spaces", "tracking", "trainables", "search")


def check_names() -> None:
    """Raise FailedError when one of our packages would be imported from somewhere else."""
    root = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != root:
            raise FailedError(
                f"package {name!r} resolves to {origin}, not to {root / name}: run `python -m search` from this "
                "project's own environment, with nothing of that name in the working directory or PYTHONPATH"
            )

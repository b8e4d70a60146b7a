"""All pruning methods by name: the one list of them."""

from typing import Final

from pruning.methods.base import Method
from pruning.methods.fpgm import Fpgm
from pruning.methods.l1 import L1
from pruning.methods.plfp import Plfp
from pruning.names import nearest_name

METHODS: Final[dict[str, Method]] = {"plfp": Plfp(), "l1": L1(), "fpgm": Fpgm()}


def get_method(name: str) -> Method:
    """Return the method of that name. Raises ValueError with the known names and the nearest one."""
    if name not in METHODS:
        nearest = nearest_name(name, METHODS)
        raise ValueError(f"unknown method {name!r}; known: {', '.join(METHODS)}; nearest: {nearest!r}")
    return METHODS[name]

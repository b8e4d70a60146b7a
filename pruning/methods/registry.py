"""All pruning methods by name: the one list of them."""

from typing import Final

from pruning.methods.base import Method
from pruning.methods.controls import FpgmDecay, LargestFirst, LocalZeroing, Random, Scratch
from pruning.methods.fpgm import Fpgm
from pruning.methods.l1 import L1
from pruning.methods.plfp import Plfp
from pruning.methods.sfp import Sfp
from pruning.methods.trained_pq import TrainedPq
from pruning.names import nearest_name

_ALL = (Plfp(), L1(), Sfp(), Fpgm(), TrainedPq(), Random(), LargestFirst(), FpgmDecay(), LocalZeroing(), Scratch())
METHODS: Final[dict[str, Method]] = {method.name: method for method in _ALL}


def get_method(name: str) -> Method:
    """Return the method of that name. Raises ValueError with the known names and the nearest one."""
    if name not in METHODS:
        nearest = nearest_name(name, METHODS)
        raise ValueError(f"unknown method {name!r}; known: {', '.join(METHODS)}; nearest: {nearest!r}")
    return METHODS[name]

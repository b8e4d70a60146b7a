"""All pruning methods by name: the one list of them."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from pruning.methods.base import Method
from pruning.methods.controls import FpgmDecay, LargestFirst, LocalZeroing, Random, Scratch
from pruning.methods.fpgm import Fpgm
from pruning.methods.hyperparameters import Hyperparameter
from pruning.methods.l1 import L1
from pruning.methods.plfp import Plfp
from pruning.methods.sfp import Sfp
from pruning.methods.trained_pq import TrainedPq
from pruning.names import unknown_name

# One row a method; a new one goes at the end.
_ALL: Final[tuple[type[Method], ...]] = (
    Plfp,
    L1,
    Sfp,
    Fpgm,
    TrainedPq,
    Random,
    LargestFirst,
    FpgmDecay,
    LocalZeroing,
    Scratch,
)
METHODS: Final[Mapping[str, type[Method]]] = {method.name: method for method in _ALL}


def get_method(name: str) -> type[Method]:
    """Return the method of that name.

    Raises:
        ValueError: no method has it; the message lists the known names and the nearest one.
    """
    if name not in METHODS:
        raise ValueError(unknown_name("method", name, METHODS))
    return METHODS[name]


@cache
def all_hyperparameters() -> Mapping[str, Hyperparameter]:
    """Return the hyperparameters of all methods by name.

    Raises:
        ValueError: two methods declare different ones under the same name.
    """
    merged: dict[str, Hyperparameter] = {}
    for method in METHODS.values():
        for name, hyperparameter in method.hyperparameters().items():
            if merged.setdefault(name, hyperparameter) != hyperparameter:
                raise ValueError(f"method {method.name!r} declares {name!r} otherwise than a method before it")
    return merged

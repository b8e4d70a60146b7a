"""Immutable mappings that refuse values out of range: what a schedule holds by group, or by hyperparameter."""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

FEWEST_BITS: Final = 2
MOST_BITS: Final = 8

Value = TypeVar("Value", int, float)


class FrozenMapping(Mapping[str, Value], Generic[Value]):
    """A mapping that never changes, can be hashed, and iterates in alphabetical order of its keys."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            self._check(name, value)
        self._values: dict[str, Value] = dict(sorted(values.items()))

    def _check(self, name: str, value: Value) -> None:
        """Refuse a value that must not stand under this name.

        Raises:
            ValueError: it must not.
        """

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values})"


class Ratios(FrozenMapping[float]):
    """Group id → share of its channels to remove, in [0, 1)."""

    def _check(self, name: str, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"ratio of group {name!r} is {value}; it must be in [0, 1)")


class GroupBits(FrozenMapping[int]):
    """Group id → bits of each of its layers' weights, 2 to 8."""

    def _check(self, name: str, value: int) -> None:
        if not FEWEST_BITS <= value <= MOST_BITS:
            raise ValueError(f"bits of group {name!r} are {value}; they must be in {FEWEST_BITS}..{MOST_BITS}")

"""Values of a schedule that every group has its own of: immutable mappings that refuse nonsense."""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

FEWEST_BITS: Final = 2
MOST_BITS: Final = 8

Value = TypeVar("Value", int, float)


class PerGroup(Mapping[str, Value], Generic[Value]):
    """Group id → value. Never changes; iterates in order of the ids."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        for group, value in values.items():
            self._check(group, value)
        self._values: dict[str, Value] = dict(sorted(values.items()))

    def _check(self, group: str, value: Value) -> None:
        """Raise ValueError when this is no value for a group."""

    def __getitem__(self, group: str) -> Value:
        return self._values[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values})"


class Ratios(PerGroup[float]):
    """Group id → share of its channels to remove, in [0, 1)."""

    def _check(self, group: str, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"ratio of group {group!r} is {value}; it must be in [0, 1)")


class GroupBits(PerGroup[int]):
    """Group id → bits of each of its layers' weights, 2 to 8."""

    def _check(self, group: str, value: int) -> None:
        if not FEWEST_BITS <= value <= MOST_BITS:
            raise ValueError(f"bits of group {group!r} are {value}; they must be in {FEWEST_BITS}..{MOST_BITS}")

"""Hyperparameters of pruning methods: declared in the method's own file, proposed by every space that has the method.

A method is a frozen pydantic model, and its fields are its hyperparameters. The type of such a field says which values
are legal, and a `SearchRange` beside it says what a sweep proposes:

    power: Annotated[float, Field(gt=0), SearchRange(1.0, 3.0, acts_on="the criterion: p of its norm")] = 2.0
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, get_args

from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class SearchRange:
    """The values of a hyperparameter that a sweep proposes.

    Attributes:
        low: lower end, included; used where the preset does not bound the hyperparameter.
        high: upper end, included; equal to `low` where the hyperparameter is no dimension unless a preset makes it one.
        acts_on: what the hyperparameter changes, in words, for the table of a space's dimensions.
        digits: decimal places that a proposed number is rounded to; None leaves it as it is.
        log: whether numbers are drawn on a logarithmic scale.
        default_at: ratio → value of a trial that nobody has preferences for; None for the field's own default.
        always_written: whether all presets and schedules hold it, even with methods that lack it. True only for those
            two that files held before methods declared their own: the files' identities depend on it.
    """

    low: float
    high: float
    acts_on: str
    digits: int | None = None
    log: bool = False
    default_at: Callable[[float], float] | None = None
    always_written: bool = False


@dataclass(frozen=True)
class Hyperparameter:
    """One declared hyperparameter of a method.

    Attributes:
        name: of the method's field, of the dimension, and of the key in presets, sweep files and params.
        kind: `int` or `float`.
        default: of the field; None where the method derives a value from each group's ratio.
        legal: constraints on its values, as pydantic reads them in `Annotated`.
        proposed: what a sweep proposes.
    """

    name: str
    kind: type[int] | type[float]
    default: float | None
    legal: tuple[Any, ...]
    proposed: SearchRange

    @property
    def annotation(self) -> Any:
        """Type of one legal value, for a pydantic model."""
        return Annotated[(self.kind, *self.legal)] if self.legal else self.kind

    def plain_value(self, ratio: float | None) -> float | None:
        """Return the value of a trial that nobody has preferences for.

        Args:
            ratio: that all groups are pruned at, in [0, 1); None when it is not known.

        Returns:
            None when the value follows from the ratio, and the ratio is not known.
        """
        if self.proposed.default_at is None:
            return self.default
        return None if ratio is None else self.proposed.default_at(ratio)


def declared(name: str, field: FieldInfo) -> Hyperparameter:
    """Read a hyperparameter off a method's field.

    Args:
        name: of the field.
        field: as pydantic keeps it.

    Raises:
        TypeError: the field has no `SearchRange`, no default, or is neither a whole nor a real number.
    """
    ranges = [each for each in field.metadata if isinstance(each, SearchRange)]
    kinds = [each for each in get_args(field.annotation) or (field.annotation,) if each is not NoneType]
    if len(ranges) != 1 or len(kinds) != 1 or kinds[0] not in (int, float) or field.is_required():
        raise TypeError(
            f"hyperparameter {name!r}: write `{name}: Annotated[float, SearchRange(…)] = …`, or int in place of float"
        )
    return Hyperparameter(
        name=name,
        kind=kinds[0],
        default=field.default,
        legal=tuple(each for each in field.metadata if not isinstance(each, SearchRange)),
        proposed=ranges[0],
    )

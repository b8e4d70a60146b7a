"""A sampler that returns preferred values, and records what it was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

Kind = Literal["choice", "float", "int"]
Value = TypeVar("Value")


class Sampler(Protocol):
    """The calls of `optuna.trial.Trial` (or FixedTrial) that a space makes."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number in [low, high]."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number in [low, high]."""


@dataclass(frozen=True)
class Suggestion:
    """One question of a space: a choice, or a number between two bounds, on a linear or a logarithmic scale."""

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    log: bool = False


@dataclass
class ScriptedSampler:
    """A `Sampler` that returns preferred values, moved into the bounds.

    Where nothing is preferred it returns the middle of the range, or the first choice.

    Attributes:
        preferred: name of a dimension → value. Dimensions that are not asked for do not appear in `params`.
        params: what was answered, by name.
        suggestions: what was asked, in order.
    """

    preferred: Mapping[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the preferred choice, or the first."""
        self.suggestions.append(Suggestion(name, "choice", choices=tuple(choices)))
        preference = self.preferred.get(name)
        self.params[name] = preference if preference in choices else choices[0]
        return self.params[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return the preferred number, or the bound nearest to it."""
        self.suggestions.append(Suggestion(name, "float", low, high, log=log))
        preference = self.preferred.get(name, (low * high) ** 0.5 if log else (low + high) / 2)
        self.params[name] = min(max(float(preference), low), high)
        return float(self.params[name])

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return the preferred whole number, or the bound nearest to it."""
        self.suggestions.append(Suggestion(name, "int", low, high))
        self.params[name] = min(max(int(self.preferred.get(name, (low + high) // 2)), low), high)
        return int(self.params[name])


def choose(sampler: Sampler, name: str, choices: Sequence[Value]) -> Value:
    """Choose one of the choices; where there is only one, the sampler is not asked."""
    if len(choices) == 1:
        return choices[0]
    chosen: Value = sampler.suggest_categorical(name, choices)
    return chosen


def between(sampler: Sampler, name: str, low: float, high: float, *, log: bool = False) -> float:
    """Choose a number in [low, high]; where both are equal, the sampler is not asked."""
    return low if low == high else sampler.suggest_float(name, low, high, log=log)


def count_between(sampler: Sampler, name: str, low: int, high: int) -> int:
    """Choose a whole number in [low, high]; where both are equal, the sampler is not asked."""
    return low if low == high else sampler.suggest_int(name, low, high)

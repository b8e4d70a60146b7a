"""What one trial does to the network: frozen, JSON there and back, a stable hash as identity."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from pruning.methods.registry import get_method

_STRONG_RATIO = 0.7  # from here up the papers shrink gently, because the network must have time to follow


class Ratios(Mapping[str, float]):
    """Group id → share of its channels to remove, in [0, 1). Never changes; iterates in order of the ids."""

    def __init__(self, ratios: Mapping[str, float]) -> None:
        for group, ratio in ratios.items():
            if not 0 <= ratio < 1:
                raise ValueError(f"ratio of group {group!r} is {ratio}; it must be in [0, 1)")
        self._ratios = dict(sorted(ratios.items()))

    def __getitem__(self, group: str) -> float:
        return self._ratios[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ratios)

    def __len__(self) -> int:
        return len(self._ratios)

    def __hash__(self) -> int:
        return hash(tuple(self._ratios.items()))

    def __repr__(self) -> str:
        return f"Ratios({self._ratios})"


def _known_method(name: str) -> str:
    return get_method(name).name


class Schedule(BaseModel):
    """How one trial prunes and trains. Raises ValidationError (a ValueError) on values out of range.

    method: a name in `pruning.methods.registry.METHODS`.
    ratios: group id → share of its channels to remove, in [0, 1). A group that is not named keeps all.
    decay: what channels about to go are multiplied by after each epoch, in [0, 1); None if the method uses none.
    neighbours: how many neighbours the local criterion looks at (at least 1).
    epochs: epochs of fine-tuning (at least 1).
    learning_rate: of the backbone (above 0).
    round_to: kept widths are rounded to multiples of this (at least 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_known_method)]
    ratios: Annotated[Mapping[str, float], AfterValidator(Ratios), PlainSerializer(dict)]
    decay: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    neighbours: int = Field(default=1, ge=1)
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    round_to: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _decay_suits_method(self) -> "Schedule":
        uses_decay = get_method(self.method).uses_decay
        if uses_decay and self.decay is None:
            raise ValueError(f"method {self.method!r} needs a decay in [0, 1), got None")
        if not uses_decay and self.decay is not None:
            raise ValueError(f"method {self.method!r} uses no decay, got {self.decay}; leave it None")
        return self

    @property
    def identity(self) -> str:
        """16 hexadecimal digits of SHA-256 over the canonical JSON: equal for equal schedules, everywhere."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def default_decay(ratio: float) -> float:
    """Decay for a ratio in [0, 1): 0.01 below 0.7, 0.3 from there up (BAFD, equation 8 and its ablation).

    Raises ValueError when `ratio` is outside [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio is {ratio}; it must be in [0, 1)")
    return 0.3 if ratio >= _STRONG_RATIO else 0.01

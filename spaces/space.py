"""The space of schedules over a network's groups, and how a sampler walks it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pruning.groups import PrunableGroup
from pruning.methods.registry import get_method
from pruning.schedule import Schedule, default_decay
from spaces.preset import Preset

# What the ladder's rungs remove of every group: short sweeps have a front from these alone.
LADDER = (0.0, 0.5, 0.25, 0.75)
HIGHEST_RATIO = 0.95


class Sampler(Protocol):
    """The two calls of `optuna.trial.Trial` (or FixedTrial) that a space makes."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_float(self, name: str, low: float, high: float) -> float:
        """A number in [low, high]."""


@dataclass(frozen=True)
class Space:
    """All schedules that a sweep may try.

    The ratio of group g is `clip(level + offset_g)`: one common level carries most of the front, small offsets let
    every group have a ratio of its own. Twelve to forty free ratios would drown a sampler.

    `epochs` and `learning_rate` are the same for all trials of a sweep.
    """

    groups: tuple[PrunableGroup, ...]
    preset: Preset
    epochs: int
    learning_rate: float

    @property
    def free_groups(self) -> tuple[PrunableGroup, ...]:
        """The groups that channels may be removed from."""
        return tuple(group for group in self.groups if not group.locked)

    def propose(self, sampler: Sampler) -> Schedule:
        """Let a sampler choose every dimension."""
        method = sampler.suggest_categorical("method", self.preset.methods)
        level = sampler.suggest_float("level", *self.preset.level)
        offset = self.preset.offset
        ratios = {}
        for group in self.free_groups:
            shift = sampler.suggest_float(f"offset:{group.id}", -offset, offset)
            ratios[group.id] = min(max(level + shift, 0.0), HIGHEST_RATIO)
        decay = None
        if get_method(method).uses_decay:
            decay = sampler.suggest_float("decay", *self.preset.decay)
        return Schedule(
            method=method,
            ratios=ratios,
            decay=decay,
            neighbours=self.preset.neighbours,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            round_to=self.preset.round_to,
        )

    def ladder(self) -> list[dict[str, Any]]:
        """Proposals to try first: every method at each rung of `LADDER`, all groups alike, the paper's decay.

        Ratio 0 comes once: where nothing is removed all methods are the same trial. Rungs beyond the preset's
        level are left out.
        """
        low, high = self.preset.level
        rungs = [(ratio, method) for ratio in LADDER if low <= ratio <= high for method in self.preset.methods]
        rungs = [rung for rung in rungs if rung[0] > 0 or rung[1] == self.preset.methods[0]]
        return [self._uniform(method, ratio) for ratio, method in rungs]

    def _uniform(self, method: str, ratio: float) -> dict[str, Any]:
        proposal: dict[str, Any] = {"method": method, "level": ratio}
        proposal |= {f"offset:{group.id}": 0.0 for group in self.free_groups}
        if get_method(method).uses_decay:
            low, high = self.preset.decay
            proposal["decay"] = min(max(default_decay(ratio), low), high)
        return proposal

"""The space of schedules over a network's groups, and how a sampler walks it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pruning.allocation import Ranking, ranked_ratios
from pruning.decay import default_decay
from pruning.groups import PrunableGroup
from pruning.methods.registry import get_method
from pruning.per_group import FEWEST_BITS, MOST_BITS
from pruning.schedule import Quantization, Schedule, Sparsity
from pruning.widths import can_narrow
from spaces.preset import Preset

# What the ladder's rungs remove of every group: short sweeps have a front from these alone.
LADDER = (0.0, 0.5, 0.25, 0.75)
HIGHEST_RATIO = 0.95


class Sampler(Protocol):
    """The calls of `optuna.trial.Trial` (or FixedTrial) that a space makes."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_float(self, name: str, low: float, high: float) -> float:
        """A number in [low, high]."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A whole number in [low, high]."""


@dataclass(frozen=True)
class Space:
    """All schedules that a sweep may try.

    The ratio of group g is `clip(level + offset_g)`: one common level carries most of the front, small offsets let
    every group (or every stage, as the preset's allocation says) have a ratio of its own. Twelve to forty free ratios
    would drown a sampler. Bits are proposed in the same way.

    groups: of the dense network; locked ones are left alone.
    ranking: of all filters, see `pruning.allocation.ranking_of`; needed by the "global" allocation alone.
    epochs, learning_rate: of all trials; methods that remove no channels train in their last stage alone.
    """

    groups: tuple[PrunableGroup, ...]
    preset: Preset
    epochs: int
    learning_rate: float
    ranking: Ranking = field(default_factory=dict)

    @property
    def free_groups(self) -> tuple[PrunableGroup, ...]:
        """The groups that channels may be removed from: neither locked nor too narrow to lose any."""
        keeps_residual = self.preset.residual == "locked"
        return tuple(
            group
            for group in self.groups
            if not group.locked
            and not (group.residual and keeps_residual)
            and can_narrow(group.width, self.preset.round_to)
        )

    @property
    def longest_trial(self) -> int:
        """Epochs of the longest trial that it may propose."""
        removes_channels = any(get_method(name).removes_channels for name in self.preset.methods)
        return self.preset.coding_epochs + (self.epochs if removes_channels else 0)

    def propose(self, sampler: Sampler) -> Schedule:
        """Let a sampler choose every dimension."""
        preset = self.preset
        method = get_method(sampler.suggest_categorical("method", preset.methods))
        ratios = self._ratios(sampler) if method.removes_channels else {}
        return Schedule(
            method=method.name,
            ratios=ratios,
            decay=sampler.suggest_float("decay", *preset.decay) if method.uses_decay else None,
            neighbours=preset.neighbours,
            patience=None if method.cuts_first else preset.patience or None,
            epochs=self.epochs if method.removes_channels else 0,
            learning_rate=self.learning_rate,
            round_to=preset.round_to,
            open_descriptor=preset.descriptor == "open",
            sparsity=self._sparsity(sampler),
            quantization=self._quantization(sampler),
        )

    def ladder(self) -> list[dict[str, Any]]:
        """Proposals to try first: every method at each rung of `LADDER`, all groups alike, the paper's decay.

        Ratio 0 comes once: where nothing is removed all methods are the same trial, but for those that start from new
        weights. Rungs beyond the preset's level are left out. A last stage is proposed in the middle of its bounds.
        """
        low, high = self.preset.level
        rungs = [
            (method, ratio)
            for ratio in LADDER
            for method in map(get_method, self.preset.methods)
            if (low <= ratio <= high if method.removes_channels else ratio == 0)
        ]
        same = [rung for rung in rungs if rung[1] == 0 and rung[0].removes_channels and not rung[0].new_weights]
        return [self._rung(method.name, ratio) for method, ratio in rungs if (method, ratio) not in same[1:]]

    def _ratios(self, sampler: Sampler) -> dict[str, float]:
        level = sampler.suggest_float("level", *self.preset.level)
        free = self.free_groups
        if self.preset.allocation == "global":
            ranking = {group.id: self.ranking[group.id] for group in free if group.id in self.ranking}
            ratios = ranked_ratios(free, ranking, level)
            return {name: min(ratio, HIGHEST_RATIO) for name, ratio in ratios.items()}
        offset = self.preset.offset
        shifts = {name: sampler.suggest_float(name, -offset, offset) for name in self._offset_names()}
        return {
            group.id: min(max(level + shifts.get(self._offset_name(group), 0.0), 0.0), HIGHEST_RATIO) for group in free
        }

    def _offset_name(self, group: PrunableGroup) -> str:
        return f"offset:{group.id}" if self.preset.allocation == "group" else f"offset:stage{group.stage}"

    def _offset_names(self) -> list[str]:
        if self.preset.allocation not in ("group", "stage"):
            return []
        return list(dict.fromkeys(self._offset_name(group) for group in self.free_groups))

    def _sparsity(self, sampler: Sampler) -> Sparsity | None:
        if (bounds := self.preset.sparsity) is None:
            return None
        name, low, high = bounds.measure
        measure = {name: sampler.suggest_float(name, low, high)}
        return Sparsity(**measure, **bounds.model_dump(exclude={"share", "threshold"}))

    def _quantization(self, sampler: Sampler) -> Quantization | None:
        if (bounds := self.preset.quantization) is None:
            return None
        bits = sampler.suggest_int("bits", *bounds.bits)
        reach = bounds.bits_offset
        shifts = {g.id: sampler.suggest_int(f"bits_offset:{g.id}", -reach, reach) for g in self.groups if reach}
        group_bits = {name: min(max(bits + shift, FEWEST_BITS), MOST_BITS) for name, shift in shifts.items()}
        return Quantization(bits=bits, group_bits=group_bits, **bounds.model_dump(exclude={"bits", "bits_offset"}))

    def _rung(self, method: str, ratio: float) -> dict[str, Any]:
        proposal: dict[str, Any] = {"method": method}
        if get_method(method).removes_channels:
            proposal |= {"level": ratio} | dict.fromkeys(self._offset_names(), 0.0)
        if get_method(method).uses_decay:
            low, high = self.preset.decay
            proposal["decay"] = min(max(default_decay(ratio), low), high)
        return proposal | self._middle()

    def _middle(self) -> dict[str, float]:
        """The middle of what a last stage may be."""
        middle: dict[str, float] = {}
        if (sparsity := self.preset.sparsity) is not None:
            name, low, high = sparsity.measure
            middle[name] = (low + high) / 2
        if (quantization := self.preset.quantization) is not None:
            middle["bits"] = sum(quantization.bits) // 2
            if quantization.bits_offset:
                middle |= {f"bits_offset:{group.id}": 0 for group in self.groups}
        return middle

"""The space of schedules over a network's groups, and how a sampler's values become a schedule."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from torch import nn

from pruning.allocation import Ranking, ranked_ratios, ranking_of
from pruning.frozen_mapping import FEWEST_BITS, MOST_BITS
from pruning.graph.groups import PrunableGroup
from pruning.methods.base import Method
from pruning.methods.hyperparameters import Hyperparameter
from pruning.methods.plfp import Plfp
from pruning.methods.registry import all_hyperparameters, get_method
from pruning.schedule import Quantization, Schedule, Sparsity, hyperparameter_fields
from pruning.widths import can_narrow
from spaces.grid import on_grid
from spaces.params import RATIO
from spaces.preset import Allocation, Preset
from spaces.scripted_sampler import Sampler, ScriptedSampler, between, choose, count_between

# What the ladder's rungs remove of every group, in this order: the first three already span a front.
LADDER = (0.0, 0.5, 0.75, 0.25)
# What methods other than the first are tried at.
MIDDLE_RUNG = 0.5
HIGHEST_RATIO = 0.95
OFFSET, BITS_OFFSET = "offset:", "bits_offset:"


@dataclass(frozen=True)
class Space:
    """All schedules that a sweep may try.

    The ratio of group g is `clip(level + tilt · sensitivity_g + offset_g)`, moved to the nearest that its widths
    allow. Level and tilt carry most of the front; small offsets let every group (or every resolution, as the preset's
    allocation says) have a ratio of its own: a sampler finds no front in twelve to forty free ratios. Bits are proposed
    in the same way, without a tilt.

    Attributes:
        groups: of the dense network; locked ones are left alone.
        epochs, learning_rate: of all trials, where the preset names none; methods that remove no channels train in
            their last stage alone.
        ranking: of all filters, see `pruning.allocation.ranking_of`; needed by the "global" allocation alone.
        sensitivity: group id → centred rank in [−0.5, 0.5] of the speed that it gains per mAP that it loses: the
            higher, the more the tilt takes from it. Empty without a map: no tilt is proposed then.
        highest: group id → the highest ratio that it may be given, where that is below `HIGHEST_RATIO`.
    """

    groups: tuple[PrunableGroup, ...]
    preset: Preset
    epochs: int
    learning_rate: float
    ranking: Ranking = field(default_factory=dict)
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    highest: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def free_groups(self) -> tuple[PrunableGroup, ...]:
        """Groups that channels may be removed from."""
        return tuple(group for group in self.groups if self.why_whole(group) is None)

    def why_whole(self, group: PrunableGroup) -> str | None:
        """Return why a group keeps all its channels, in words; None where it is free."""
        if group.locked:
            return "it fixes the descriptor's size" if group.descriptor else "its channels cannot go one by one"
        if group.residual and self.preset.residual == "locked":
            return "several layers add up to it, and space.residual is 'locked'"
        if not can_narrow(group.width, self.preset.round_to):
            return f"at {group.width} channels it is too narrow for multiples of {self.preset.round_to}"
        if self.on_grid(group, HIGHEST_RATIO) == 0:
            return "it is so sensitive that it can spare nothing"
        return None

    @property
    def longest_trial(self) -> int:
        """Epochs of the longest trial that it may propose."""
        removes_channels = any(get_method(name).removes_channels for name in self.preset.methods)
        return self.preset.coding_epochs + (self._epochs[1] if removes_channels else 0)

    def on_grid(self, group: PrunableGroup, ratio: float) -> float:
        """Return the nearest ratio that the group may be given: within its bounds, and one that its widths allow."""
        return on_grid(group.width, max(ratio, 0.0), self.preset.round_to, self.most(group))

    def most(self, group: PrunableGroup) -> float:
        """Return the highest ratio that the group may be given."""
        return min(HIGHEST_RATIO, self.highest.get(group.id, HIGHEST_RATIO))

    def propose(self, sampler: Sampler) -> Schedule:
        """Let a sampler choose every dimension.

        Raises:
            ValueError: the allocation is "global" and the filters were not ranked.
        """
        preset = self.preset
        method = get_method(choose(sampler, "method", preset.methods))
        return Schedule(
            method=method.name,
            ratios=self._ratios(sampler) if method.removes_channels else {},
            **hyperparameter_fields(self._hyperparameters(sampler, method)),
            patience=None if method.cuts_first else preset.patience or None,
            epochs=count_between(sampler, "epochs", *self._epochs) if method.removes_channels else 0,
            learning_rate=self._learning_rate(sampler),
            round_to=preset.round_to,
            open_descriptor=preset.descriptor == "open",
            sparsity=self._sparsity(sampler),
            quantization=self._quantization(sampler),
        )

    def point(self, preferred: Mapping[str, Any]) -> dict[str, Any]:
        """Return the params of the proposal nearest to the preferred values, dimension by dimension.

        A dimension without a preferred value is taken as plain trials have it: no tilt, no offset, the paper's
        decay where a level is preferred, all epochs, the sweep's learning rate; else the middle of its range.
        """
        plain: dict[str, Any] = {"tilt": 0.0, "epochs": self._epochs[1], "learning_rate": self.learning_rate}
        plain |= plain_values(preferred.get("level"))
        if "level" in preferred:
            plain |= {f"{RATIO}{group.id}": preferred["level"] for group in self.free_groups}
        answers = ScriptedSampler({**plain, **preferred})
        self.propose(answers)
        return answers.params

    def ladder(self) -> list[dict[str, Any]]:
        """Return the proposals to try first, those that span a front before those that compare methods.

        The first method that removes channels climbs `LADDER`, all groups alike, without tilt or offsets, with the
        paper's decay; the others are tried at `MIDDLE_RUNG`. Rungs outside the preset's level are moved to its ends. A
        last stage is proposed in the middle of its bounds.
        """
        methods = [get_method(name) for name in self.preset.methods]
        climber = next((method for method in methods if method.removes_channels), methods[0])
        rungs = [(climber.name, ratio) for ratio in LADDER]
        rungs += [(method.name, MIDDLE_RUNG) for method in methods if method is not climber]
        return self._distinct({"method": name, "level": self._level(ratio)} for name, ratio in rungs)

    def grid(self, steps: int) -> list[dict[str, Any]]:
        """Return proposals of every method at `steps` levels, all groups alike; the whole network once.

        Methods that remove no channels walk along their share of weights and their bits in place of the level.

        Raises:
            ValueError: `steps` is below 1.
        """
        if steps < 1:
            raise ValueError(f"a grid of {steps} steps; at least 1 is right")
        shares = [step / max(1, steps - 1) for step in range(steps)]
        return self._distinct(
            self._grid_point(get_method(name), share) for share in shares for name in self.preset.methods
        )

    def sensitivities(self, allocation: Allocation) -> dict[str, float]:
        """Return group id → what the tilt is multiplied by.

        That is 0 for groups not on the map; where offsets are shared, the mean of the groups of equal resolution.
        """
        given = {group.id: self.sensitivity.get(group.id, 0.0) for group in self.free_groups}
        if allocation == "group":
            return given
        if allocation != "stage":
            return dict.fromkeys(given, 0.0)
        by_resolution: dict[int, list[float]] = {}
        for group in self.free_groups:
            by_resolution.setdefault(group.resolution, []).append(given[group.id])
        return {group.id: fmean(by_resolution[group.resolution]) for group in self.free_groups}

    def _ratios(self, sampler: Sampler) -> dict[str, float]:
        allocation = choose(sampler, "allocation", self.preset.allocation)
        if allocation == "independent":
            wanted = {group.id: self._own_ratio(sampler, group) for group in self.free_groups}
        elif allocation == "global":
            wanted = self._ranked(between(sampler, "level", *self.preset.level))
        else:
            wanted = self._tilted(sampler, allocation)
        return {group.id: self.on_grid(group, wanted[group.id]) for group in self.free_groups}

    def _own_ratio(self, sampler: Sampler, group: PrunableGroup) -> float:
        low, high = (min(bound, self.most(group)) for bound in self.preset.level)
        return between(sampler, f"{RATIO}{group.id}", low, high)

    def _ranked(self, share: float) -> dict[str, float]:
        ranking = {group.id: self.ranking[group.id] for group in self.free_groups if group.id in self.ranking}
        if not ranking:
            raise ValueError("allocation 'global' needs a ranking of the filters; none of a free group was given")
        return ranked_ratios(self.free_groups, ranking, share)

    def _tilted(self, sampler: Sampler, allocation: Allocation) -> dict[str, float]:
        level = between(sampler, "level", *self.preset.level)
        sensitivity = self.sensitivities(allocation)
        tilt = between(sampler, "tilt", *self.preset.tilt) if any(sensitivity.values()) else 0.0
        names = {group.id: offset_name(group, allocation) for group in self.free_groups}
        reach = self.preset.offset
        shifts = {name: between(sampler, name, -reach, reach) for name in dict.fromkeys(names.values()) if name}
        return {
            group: level + tilt * sensitivity[group] + (shifts[name] if name else 0.0) for group, name in names.items()
        }

    @property
    def _epochs(self) -> tuple[int, int]:
        return self.preset.epochs or (self.epochs, self.epochs)

    def _hyperparameters(self, sampler: Sampler, method: type[Method]) -> dict[str, float]:
        proposed = {name: self._value(sampler, each) for name, each in method.hyperparameters().items()}
        return {**self.preset.plain_hyperparameters(method.name), **proposed}

    def _value(self, sampler: Sampler, hyperparameter: Hyperparameter) -> float:
        name, proposed = hyperparameter.name, hyperparameter.proposed
        low, high = self.preset.range_of(hyperparameter)
        if hyperparameter.kind is int:
            return count_between(sampler, name, int(low), int(high))
        value = between(sampler, name, low, high, log=proposed.log)
        return value if proposed.digits is None else min(max(round(value, proposed.digits), low), high)

    def _learning_rate(self, sampler: Sampler) -> float:
        low, high = self.preset.learning_rate or (self.learning_rate, self.learning_rate)
        rate = between(sampler, "learning_rate", low, high, log=True)
        return rate if low == high else min(max(float(f"{rate:.2g}"), low), high)

    def _sparsity(self, sampler: Sampler) -> Sparsity | None:
        if (bounds := self.preset.sparsity) is None:
            return None
        name, low, high = bounds.measure
        measure = {name: between(sampler, name, low, high)}
        return Sparsity(**measure, **bounds.model_dump(exclude={"share", "threshold"}))

    def _quantization(self, sampler: Sampler) -> Quantization | None:
        if (bounds := self.preset.quantization) is None:
            return None
        bits = count_between(sampler, "bits", *bounds.bits)
        reach = bounds.bits_offset
        shifts = {g.id: count_between(sampler, f"{BITS_OFFSET}{g.id}", -reach, reach) for g in self.groups if reach}
        group_bits = {name: min(max(bits + shift, FEWEST_BITS), MOST_BITS) for name, shift in shifts.items()}
        return Quantization(bits=bits, group_bits=group_bits, **bounds.model_dump(exclude={"bits", "bits_offset"}))

    def _level(self, ratio: float) -> float:
        low, high = self.preset.level
        return min(max(ratio, low), high)

    def _grid_point(self, method: type[Method], share: float) -> dict[str, Any]:
        preferred: dict[str, Any] = {"method": method.name}
        if method.removes_channels:
            low, high = self.preset.level
            return preferred | {"level": low + share * (high - low)}
        if (sparsity := self.preset.sparsity) is not None:
            name, low, high = sparsity.measure
            preferred[name] = low + share * (high - low)
        if (quantization := self.preset.quantization) is not None:
            few, many = quantization.bits
            preferred["bits"] = round(many - share * (many - few))
        return preferred

    def _distinct(self, preferred: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the points nearest to the preferred ones, each trial once."""
        points: dict[object, dict[str, Any]] = {}
        for preference in preferred:
            point = self.point(preference)
            points.setdefault(_what_it_does(self.propose(ScriptedSampler(point))), point)
        return list(points.values())


def offset_name(group: PrunableGroup, allocation: Allocation) -> str | None:
    """Return the name of the dimension of a group's offset; None where the allocation has none."""
    return {"group": f"{OFFSET}{group.id}", "stage": f"{OFFSET}stage{group.resolution}"}.get(allocation)


def _what_it_does(schedule: Schedule) -> object:
    """Return a key that is equal for schedules that come to the same trial.

    Where nothing is removed all methods are the same trial, but for those that begin with new weights.
    """
    method = get_method(schedule.method)
    if any(schedule.ratios.values()) or method.new_weights or not method.removes_channels:
        return schedule
    return schedule.epochs, schedule.learning_rate, schedule.sparsity, schedule.quantization


def rank_filters(preset: Preset, network: nn.Module, groups: Sequence[PrunableGroup]) -> Ranking:
    """Rank the filters of all groups together, as the "global" allocation needs it.

    The local criterion ranks them, with the fewest neighbours that the preset allows.

    Args:
        preset: of the space.
        network: the dense one.
        groups: of the network.
    """
    return ranking_of(network, groups, int(preset.plain_hyperparameters(Plfp.name)["neighbours"]))


def plain_values(ratio: float | None) -> dict[str, float]:
    """Return the values of all methods' hyperparameters that a trial has which nobody has preferences for.

    Args:
        ratio: that all groups are pruned at; None leaves out what follows from it.
    """
    values = {name: each.plain_value(ratio) for name, each in all_hyperparameters().items()}
    return {name: value for name, value in values.items() if value is not None}

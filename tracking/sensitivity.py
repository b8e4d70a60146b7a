"""What each group of channels costs when it alone is cut, and what a search can make of that.

The map is measured without training (`trainables.sensitivity`), one group at a time. Li et al., "Pruning Filters for
Efficient ConvNets", ICLR 2017, section 3.2, first drew such curves and chose each layer's share by eye; here a search
takes from them which groups to prune more (`ranks`), how far it may go (`highest`) and where to start (`greedy`).

Differs from the paper: groups of coupled channels are cut, not layers; BatchNorm is measured anew after each cut.
"""

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pruning.widths import kept_count
from tracking.format_version import JsonFormat
from tracking.record import BORDER, METRICS

Ratio = Annotated[float, Field(gt=0, lt=1)]

# Group id → share of its channels that goes → the network's multiply-adds for one image.
MacsModel = Callable[[Mapping[str, float]], float]


class SensitivitySettings(BaseModel):
    """[sensitivity]: whether the map is measured before the search, where, and what is made of it.

    ratios: at which each group is cut alone, ascending.
    keep: share of the dense quality; a ratio at which one group alone leaves less is not proposed. It is lenient, for
        the map knows no training: on the miniature benchmark the worst group alone, cut by three quarters, leaves half
        of the dense mAP, and yet all groups cut as far together regain five sixths of it in three epochs. The bound
        keeps trials away from where nothing is left to train from; it does not choose among good ones.
    targets: by what the multiply-adds are divided in the first trials, which `SensitivityMap.greedy` proposes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enabled: bool = True
    ratios: tuple[Ratio, ...] = Field(default=(0.25, 0.5, 0.75), min_length=1)
    keep: float = Field(default=0.25, ge=0, le=1)
    targets: tuple[Annotated[float, Field(gt=1)], ...] = (1.5, 2.0, 3.0, 4.0, 6.0)

    @model_validator(mode="after")
    def _ratios_ascend(self) -> Self:
        _check_ascending(self.ratios)
        return self


class CutPoint(BaseModel):
    """One group cut alone, nothing trained.

    kept: channels that the group keeps.
    quality: of the whole network then, as it was measured; NaN where it gave none.
    macs_saved: multiply-adds that it is spared for one image.
    """

    model_config = BORDER

    kept: int = Field(ge=1)
    quality: float
    macs_saved: int = Field(ge=0)


class GroupSensitivity(BaseModel):
    """One group's points, the widest first; none where every ratio asked for rounds to the dense width."""

    model_config = BORDER

    group: str
    width: int = Field(ge=1)
    points: tuple[CutPoint, ...]

    @model_validator(mode="after")
    def _widths_descend(self) -> Self:
        widths = [self.width, *(point.kept for point in self.points)]
        if any(later >= earlier for earlier, later in itertools.pairwise(widths)):
            raise ValueError(f"widths of group {self.group!r} are {widths}: the dense one first, each less is right")
        return self

    @property
    def ratios(self) -> tuple[float, ...]:
        """The share of the channels that went, as achieved, for each point."""
        return tuple(1 - point.kept / self.width for point in self.points)

    def monotone(self, dense: float) -> tuple[float, ...]:
        """The quality at each point: the least so far along the ratio, never above `dense`; 0 for NaN.

        Removing more channels without training cannot help. Where it seems to, it is the luck of a finite number of
        queries; taken at its word, it would send a search there, and a curve that rises crosses a bound twice.
        """
        measured = (0.0 if math.isnan(point.quality) else point.quality for point in self.points)
        return tuple(itertools.accumulate(measured, min, initial=dense))[1:]

    def curve(self, dense: float) -> list[tuple[float, float]]:
        """Ratio and `monotone` quality, ascending in the ratio, from the dense network on."""
        return [(0.0, dense), *zip(self.ratios, self.monotone(dense), strict=True)]

    def point_at(self, asked_ratio: float, round_to: int) -> CutPoint | None:
        """The point that a ratio asked for came to; None where it came to the dense width, or was not measured."""
        kept = kept_count(self.width, asked_ratio, round_to)
        return next((point for point in self.points if point.kept == kept), None)


class SensitivityMap(BaseModel):
    """All groups that may lose channels, in network order, each cut alone at a few ratios.

    network: name of the backbone.
    method: which chose the channels.
    quality: key of the metric; `dense` is the dense network's, a fraction, and `dense_macs` its multiply-adds.
    ratios: as asked for; `round_to` is what widths are multiples of, so that some ratios come to the same width.
    """

    model_config = BORDER

    network: str
    method: str
    quality: str
    dense: float = Field(ge=0, le=1, allow_inf_nan=False)
    dense_macs: int = Field(gt=0)
    ratios: tuple[Ratio, ...] = Field(min_length=1)
    round_to: int = Field(ge=1)
    groups: tuple[GroupSensitivity, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.quality not in METRICS or not METRICS[self.quality].is_quality:
            raise ValueError(f"{self.quality!r} is no quality; a key of METRICS whose unit is a fraction is right")
        _check_ascending(self.ratios)
        names = [group.group for group in self.groups]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"groups {twice} occur more than once; each once is right")
        return self

    def monotone(self) -> dict[str, tuple[float, ...]]:
        """Group id → `GroupSensitivity.monotone`."""
        return {group.group: group.monotone(self.dense) for group in self.groups}

    def ranks(self) -> dict[str, float]:
        """Group id → centred rank of its gain, in [−0.5, 0.5]; higher saves more multiply-adds for the quality lost.

        The gain is the mean of the multiply-adds saved over the mean of the quality lost, both over all points. One
        ratio alone would be at the mercy of its noise, and a mean of quotients at that of the smallest loss. Groups of
        which some ratios came to nothing have fewer points, and are compared by those.

        Equal gains share the mean of their ranks. No loss at all is an infinite gain; a group that saves nothing has
        none. A group without points, or one all alone, is in the middle.
        """
        gains = {group.group: self._mean_gain(group) for group in self.groups if group.points}
        ordered = sorted(gains.values())
        last = len(ordered) - 1
        ranks = dict.fromkeys((group.group for group in self.groups), 0.0)
        for name, gain in gains.items():
            rank = (bisect_left(ordered, gain) + bisect_right(ordered, gain) - 1) / 2
            ranks[name] = rank / last - 0.5 if last else 0.0
        return ranks

    def highest(self, keep: float) -> dict[str, float]:
        """Group id → the largest ratio at which at least the share `keep` of the dense quality remains.

        Interpolated between points, and never below the smallest ratio measured: one bad measurement must not lock a
        group. Groups that keep enough at every point are left out: nothing measured bounds them.

        Raises:
            ValueError: `keep` is outside [0, 1].
        """
        if not 0 <= keep <= 1:
            raise ValueError(f"keep is {keep}: a share of the dense quality in [0, 1] is right")
        bounds = {group.group: _crossing(group.curve(self.dense), keep * self.dense) for group in self.groups}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def greedy(self, macs_model: MacsModel, targets: Iterable[float]) -> list[dict[str, float]]:
        """Group id → ratio, all groups named, for each target: the first that divides the multiply-adds by it.

        From the dense network on, the step that loses least quality for the multiply-adds that it saves, again and
        again; a step takes one group to any of its points that lie ahead. This is the greedy way through a knapsack of
        multiple choices (Sinha and Zoltners, "The Multiple-Choice Knapsack Problem", Operations Research 1979).
        Between two points the loss is taken to be linear, so smaller steps would go the same way.

        Losses of groups are assumed to add up, which is true to first order only: cut together they mostly lose more.
        The multiply-adds are exact, since `macs_model` is asked with all ratios at once.

        Targets beyond what all groups at their last points reach are left out, and so is a target that the ratios
        of a smaller one reach.
        """
        ratios = {group.group: 0.0 for group in self.groups}
        dense_macs = macs = macs_model(ratios)
        found: list[dict[str, float]] = []
        for target in sorted(targets):
            while macs * target > dense_macs:
                steps = self._steps(ratios, macs, macs_model)
                best = max(steps, key=lambda step: (step.gain, step.saved), default=None)
                if best is None:
                    return found
                ratios = {**ratios, best.group: best.ratio}
                macs -= best.saved
            if ratios not in found:
                found.append(ratios)
        return found

    def _mean_gain(self, group: GroupSensitivity) -> float:
        saved = sum(point.macs_saved for point in group.points)
        return _gain(saved, sum(self.dense - quality for quality in group.monotone(self.dense)))

    def _steps(self, ratios: Mapping[str, float], macs: float, macs_model: MacsModel) -> Iterator["_Step"]:
        """Every step ahead that saves anything."""
        for group in self.groups:
            curve = group.curve(self.dense)
            here = dict(curve)[ratios[group.group]]
            for ratio, quality in curve:
                if ratio > ratios[group.group]:
                    saved = macs - macs_model({**ratios, group.group: ratio})
                    if saved > 0:
                        yield _Step(_gain(saved, here - quality), saved, group.group, ratio)


class _Step(NamedTuple):
    gain: float
    saved: float
    group: str
    ratio: float


SENSITIVITY_JSON = JsonFormat("a sensitivity map", SensitivityMap)


def read_sensitivity(folder: Path) -> SensitivityMap:
    """Read `sensitivity.json` in `folder`, equal to what `tracking.charts.write.write_sensitivity` was given.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its format version is not known; names it.
    """
    return SENSITIVITY_JSON.read(folder / "sensitivity.json")


def _gain(saved: float, lost: float) -> float:
    if saved <= 0:
        return 0.0
    return saved / lost if lost > 0 else math.inf


def _crossing(curve: list[tuple[float, float]], floor: float) -> float | None:
    """The ratio at which a falling curve passes `floor`, at least its first ratio above 0; None where it never does."""
    for (ratio, quality), (next_ratio, next_quality) in itertools.pairwise(curve):
        if next_quality < floor:
            share = (quality - floor) / (quality - next_quality)
            return max(ratio + share * (next_ratio - ratio), curve[1][0])
    return None


def _check_ascending(ratios: tuple[float, ...]) -> None:
    if any(later <= earlier for earlier, later in itertools.pairwise(ratios)):
        raise ValueError(f"ratios are {list(ratios)}: each once and in ascending order is right")

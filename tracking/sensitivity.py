"""How much quality is lost when one group of channels alone is cut, and what a search derives from that.

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

MacsModel = Callable[[Mapping[str, float]], float]
"""Group id → share of its channels that is removed, to the network's multiply-adds for one image."""


class SensitivitySettings(BaseModel):
    """[sensitivity]: whether the map is measured before the search, at which ratios, and how the search uses it.

    Attributes:
        enabled: whether the map is measured.
        ratios: at which each group is cut alone, ascending.
        keep: share of the dense quality; a ratio at which one group alone leaves less is not proposed. The default is
            lenient, because the map is measured without training: on the miniature benchmark the worst group alone,
            cut by three quarters, leaves half of the dense mAP, and yet all groups cut as far together regain five
            sixths of it in three epochs. The bound keeps trials away from networks that have nothing left to train
            from; it does not choose among good ones.
        targets: factors by which the multiply-adds are divided in the first trials, which `SensitivityMap.greedy`
            proposes.
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
    """One group cut alone, without training.

    Attributes:
        kept: channels that the group keeps.
        quality: of the whole network then, as it was measured; NaN where it could not be measured.
        macs_saved: multiply-adds that the network does without for one image.
    """

    model_config = BORDER

    kept: int = Field(ge=1)
    quality: float
    macs_saved: int = Field(ge=0)


class GroupSensitivity(BaseModel):
    """The measurements of one group.

    Attributes:
        group: its id.
        width: channels of the dense network.
        points: the widest first; none where every ratio asked for rounds to the dense width.
    """

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
        """The share of the channels that was removed, as achieved, for each point."""
        return tuple(1 - point.kept / self.width for point in self.points)

    def monotone(self, dense: float) -> tuple[float, ...]:
        """Return the quality at each point as a falling curve: the least so far, never above `dense`; 0 for NaN.

        Removing more channels without training cannot help. Where it seems to, it is the noise of a finite number of
        queries; believed, it would send a search there, and a curve that rises crosses a bound twice.
        """
        measured = (0.0 if math.isnan(point.quality) else point.quality for point in self.points)
        return tuple(itertools.accumulate(measured, min, initial=dense))[1:]

    def curve(self, dense: float) -> list[tuple[float, float]]:
        """Return pairs of ratio and `monotone` quality, ascending in the ratio, from the dense network on."""
        return [(0.0, dense), *zip(self.ratios, self.monotone(dense), strict=True)]

    def point_at(self, asked_ratio: float, round_to: int) -> CutPoint | None:
        """Return the point that a ratio asked for rounds to; None for the dense width, or where it was not measured."""
        kept = kept_count(self.width, asked_ratio, round_to)
        return next((point for point in self.points if point.kept == kept), None)


class SensitivityMap(BaseModel):
    """All groups that may lose channels, in network order, each cut alone at a few ratios.

    Attributes:
        network: name of the backbone.
        method: chose the channels.
        quality: key of the metric.
        dense: quality of the dense network, a fraction.
        dense_macs: multiply-adds of the dense network.
        ratios: as asked for.
        round_to: widths are multiples of this, so that some ratios come to the same width.
        groups: the measurements.
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
        """Return group id → `GroupSensitivity.monotone`."""
        return {group.group: group.monotone(self.dense) for group in self.groups}

    def ranks(self) -> dict[str, float]:
        """Return group id → centred rank of its gain, in [−0.5, 0.5]; a higher rank saves more for the quality lost.

        The gain is the mean of the multiply-adds saved divided by the mean of the quality lost, both over all points.
        A single ratio would depend on its noise, and a mean of quotients on the smallest loss. A group of which some
        ratios round to the dense width has fewer points, and is compared by those.

        Equal gains share the mean of their ranks. No loss at all is an infinite gain; a group that saves nothing has
        gain 0. A group without points, or a single group, has rank 0.
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
        """Return group id → the largest ratio at which at least the share `keep` of the dense quality remains.

        The ratio is interpolated between points, and never below the smallest ratio measured: one bad measurement must
        not lock a group. Groups that keep enough at every point are left out: no measurement bounds them.

        Raises:
            ValueError: `keep` is outside [0, 1].
        """
        if not 0 <= keep <= 1:
            raise ValueError(f"keep is {keep}: a share of the dense quality in [0, 1] is right")
        bounds = {group.group: _crossing(group.curve(self.dense), keep * self.dense) for group in self.groups}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def greedy(self, macs_model: MacsModel, targets: Iterable[float]) -> list[dict[str, float]]:
        """Return, for each target, ratios of all groups that divide the multiply-adds by at least that factor.

        Starting from the dense network, the step is taken that loses least quality for the multiply-adds that it saves,
        again and again; a step moves one group to any of its further points. This is the greedy solution of a
        multiple-choice knapsack (Sinha and Zoltners, "The Multiple-Choice Knapsack Problem", Operations Research 1979).
        Between two points the loss is taken to be linear, so smaller steps would lead the same way.

        Losses of groups are assumed to add up, which is true to first order only: cut together they mostly lose more.
        The multiply-adds are exact, since `macs_model` is called with all ratios at once.

        Targets beyond what all groups at their last points reach are left out, and so is a target that the ratios
        of a smaller one reach.

        Args:
            macs_model: group id → ratio, to the multiply-adds of the network.
            targets: factors above 1, in any order.

        Returns:
            Group id → ratio, for each target that is reached, the smallest first.
        """
        ratios = {group.group: 0.0 for group in self.groups}
        dense_macs = macs = macs_model(ratios)
        proposals: list[dict[str, float]] = []
        for target in sorted(targets):
            while macs * target > dense_macs:
                steps = self._steps(ratios, macs, macs_model)
                best = max(steps, key=lambda step: (step.gain, step.saved), default=None)
                if best is None:
                    return proposals
                ratios = {**ratios, best.group: best.ratio}
                macs -= best.saved
            if ratios not in proposals:
                proposals.append(ratios)
        return proposals

    def _mean_gain(self, group: GroupSensitivity) -> float:
        saved = sum(point.macs_saved for point in group.points)
        return _gain(saved, sum(self.dense - quality for quality in group.monotone(self.dense)))

    def _steps(self, ratios: Mapping[str, float], macs: float, macs_model: MacsModel) -> Iterator["_Step"]:
        """Yield every possible step that saves multiply-adds."""
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
    """Return the ratio at which a falling curve passes `floor`, at least its first above 0; None if it never does."""
    for (ratio, quality), (next_ratio, next_quality) in itertools.pairwise(curve):
        if next_quality < floor:
            share = (quality - floor) / (quality - next_quality)
            return max(ratio + share * (next_ratio - ratio), curve[1][0])
    return None


def _check_ascending(ratios: tuple[float, ...]) -> None:
    if any(later <= earlier for earlier, later in itertools.pairwise(ratios)):
        raise ValueError(f"ratios are {list(ratios)}: each once and in ascending order is right")

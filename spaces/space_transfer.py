"""Params of one space for ratios that come from elsewhere: another space, the sensitivity map, another network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import all_hyperparameters, get_method
from pruning.schedule import Schedule
from spaces.fit_params import fit
from spaces.grid import on_grid
from spaces.params import BITS, RATIO, Params, params_of
from spaces.preset import Allocation
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import BITS_OFFSET, Space, plain_values

# Keys of `params_of` that a trial may bring along beside its method and ratios → the dimension.
_BESIDE = {
    **{name: name for name in all_hyperparameters()},
    "epochs": "epochs",
    "learning_rate": "learning_rate",
    "sparsity.share": "share",
    "sparsity.threshold": "threshold",
    "quantization.bits": "bits",
}


@dataclass(frozen=True)
class Projected:
    """The nearest proposal.

    Attributes:
        params: what a sampler would have to answer, ready to be enqueued.
        mapped: what was taken over, where that is not plain by name, one line each.
        dropped: what the space cannot express, and what stands in its place, one line each.
    """

    params: dict[str, Any]
    mapped: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def project(space: Space, ratios: Mapping[str, float], method: str, decay: float | None = None) -> Projected:
    """Return the proposal whose ratios are nearest to the given ones.

    Of several allocations the one with the smallest sum of squared differences, the first of equals.

    Args:
        space: may be of any network.
        ratios: group id → share removed, [0, 1); groups that are not named keep all.
        method: to prune with; where the space has it not, its first that removes channels.
        decay: None for the paper's at the mean ratio.
    """
    return _project(space, ratios, method, {} if decay is None else {"decay": decay})


def project_schedule(space: Space, schedule: Schedule) -> Projected:
    """Return the proposal nearest to a whole schedule of the same network, its last stage included; see `project`."""
    return _project(space, schedule.ratios, schedule.method, _beside(schedule))


def project_resolutions(space: Space, schedule: Schedule, groups: Sequence[PrunableGroup]) -> Projected:
    """Return the proposal nearest to a schedule of another network, resolution by resolution.

    Every resolution of this network takes the mean ratio (weighted by width) of the other's at the same relative
    depth. Bits of single groups are left out.

    Args:
        space: of this network.
        schedule: of the other one.
        groups: of the other one.
    """
    means = _resolution_means(schedule, groups)
    other, own = sorted({group.resolution for group in groups}), sorted({group.resolution for group in space.groups})
    source = {
        number: min(means, key=lambda each: abs(_depth(each, other) - _depth(number, own))) for number in own if means
    }
    ratios = {group.id: means[source[group.resolution]] for group in space.free_groups if means}
    beside = {key: value for key, value in _beside(schedule).items() if not key.startswith(BITS)}
    projected = _project(space, ratios, schedule.method, beside)
    unused = [f"stage {number} ({means[number]:.2f} removed)" for number in means if number not in source.values()]
    return Projected(
        params=projected.params,
        mapped=tuple(
            f"stage {source[number]} ({means[source[number]]:.2f} removed) → stage {number}" for number in source
        ),
        dropped=(*projected.dropped, *(f"{each}: no stage of this network is as deep" for each in unused)),
    )


def _project(space: Space, ratios: Mapping[str, float], method: str, beside: Params) -> Projected:
    known = method in space.preset.methods
    names = (name for name in space.preset.methods if get_method(name).removes_channels)
    chosen = method if known else next(names, space.preset.methods[0])
    wanted = {group.id: space.on_grid(group, ratios.get(group.id, 0.0)) for group in space.free_groups}
    mean = fmean(wanted.values()) if wanted else 0.0
    preferred = {"method": chosen, **plain_values(mean), **_wishes(beside)}
    points = [
        space.point(preferred | {"allocation": allocation} | _allocated(space, wanted, allocation))
        for allocation in space.preset.allocation
    ]
    proposals = [space.propose(ScriptedSampler(point)) for point in points]
    best = min(range(len(points)), key=lambda index: _difference(proposals[index], wanted))
    lines = [] if known else [f"method {method!r} is not in this space: {chosen!r} in its place"]
    lines += [*_lost_ratios(space, ratios, proposals[best]), *_lost_beside(beside, proposals[best])]
    return Projected(points[best], dropped=tuple(lines))


def _allocated(space: Space, wanted: Mapping[str, float], allocation: Allocation) -> dict[str, float]:
    """Return the preferred values that come to these ratios."""
    if not wanted:
        return {}
    if allocation == "independent":
        return {f"{RATIO}{group}": ratio for group, ratio in wanted.items()}
    if allocation == "global":
        ranked = [group for group in space.free_groups if group.id in space.ranking]
        removed = sum(wanted[group.id] * group.width for group in ranked)
        return {"level": removed / max(1, sum(group.width for group in ranked))}
    return fit(space, wanted, allocation)


def _difference(proposal: Schedule, wanted: Mapping[str, float]) -> float:
    return sum((proposal.ratios.get(group, 0.0) - ratio) ** 2 for group, ratio in wanted.items())


def _lost_ratios(space: Space, ratios: Mapping[str, float], proposal: Schedule) -> Iterator[str]:
    groups = {group.id: group for group in space.groups}
    for name, ratio in ratios.items():
        if name not in groups:
            yield f"group {name!r} ({ratio:.2f} removed) is none of this network"
            continue
        group, got = groups[name], proposal.ratios.get(name, 0.0)
        if ratio > 0 and (reason := space.why_whole(group)):
            yield f"group {name!r} ({ratio:.2f} removed) keeps all here: {reason}"
        elif got != on_grid(group.width, ratio, space.preset.round_to):
            yield f"group {name!r}: {got:.2f} removed in place of {ratio:.2f}"


def _lost_beside(beside: Params, proposal: Schedule) -> Iterator[str]:
    got = params_of(proposal)
    for name, value in beside.items():
        if got.get(name) != value:
            yield f"{name} {value}: " + (f"{got[name]} here" if name in got else "not in this proposal")


def _beside(schedule: Schedule) -> Params:
    return {key: value for key, value in params_of(schedule).items() if key in _BESIDE or key.startswith(BITS)}


def _wishes(beside: Params) -> dict[str, Any]:
    """Return the values of the dimensions that come to these params."""
    preferred: dict[str, Any] = {_BESIDE[key]: value for key, value in beside.items() if key in _BESIDE}
    for key, value in beside.items():
        if key.startswith(BITS):
            preferred[f"{BITS_OFFSET}{key.removeprefix(BITS)}"] = int(value) - int(beside["quantization.bits"])
    return preferred


def _resolution_means(schedule: Schedule, groups: Sequence[PrunableGroup]) -> dict[int, float]:
    """Return resolution → share of its channels that goes, of the groups that the schedule names."""
    removed: dict[int, float] = {}
    width: dict[int, int] = {}
    for group in groups:
        if group.id in schedule.ratios:
            removed[group.resolution] = removed.get(group.resolution, 0.0) + schedule.ratios[group.id] * group.width
            width[group.resolution] = width.get(group.resolution, 0) + group.width
    return {number: removed[number] / width[number] for number in sorted(removed)}


def _depth(number: int, numbers: Sequence[int]) -> float:
    """Return where a resolution lies among all of a network, 0 the first and 1 the last."""
    return numbers.index(number) / max(1, len(numbers) - 1)

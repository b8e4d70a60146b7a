"""A warm start: the front of a former sweep, projected into the space of a new one and tried first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pruning.graph.groups import PrunableGroup
from search.build import build_groups
from search.storage import SweepStorage
from search.study.initial_points import Point
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space
from spaces.space_transfer import Projected, project_resolutions, project_schedule
from tracking.farthest_first import farthest_first, middle
from tracking.pareto import pareto_front
from tracking.record import METRICS, TrialRecord
from trainables.folder import read_records

MOST_POINTS = 8


@dataclass(frozen=True)
class FormerSweep:
    """What is read of a former sweep, finished or not, before its front is projected into a space.

    Attributes:
        folder: of the former sweep.
        objectives: its metric keys, the quality first.
        groups: of its network.
        records: of its trials, of any status.
    """

    folder: Path
    objectives: tuple[str, ...]
    groups: tuple[PrunableGroup, ...]
    records: tuple[TrialRecord, ...]


@dataclass(frozen=True)
class WarmStart:
    """What a former sweep proposes to try first.

    Attributes:
        points: params to try first, spread along the former front.
        mapped: one line for each former trial that is taken over: how its groups or stages were mapped.
        dropped: one line for each former trial of which something was lost.
    """

    points: tuple[Point, ...]
    mapped: tuple[str, ...]
    dropped: tuple[str, ...]


def read_former(folder: Path) -> FormerSweep:
    """Read the sweep in a folder.

    Raises:
        ValueError: there is no sweep, or it is damaged.
    """
    storage = SweepStorage(folder)
    config = storage.card().config
    records = read_records(storage.path)
    try:
        groups = build_groups(config)
    except ValueError as error:
        raise ValueError(f"warm start from {folder}: {error}") from error
    return FormerSweep(folder, config.search.objectives, groups, tuple(records))


def warm_start_from(former: FormerSweep, space: Space) -> WarmStart:
    """Return points for `space` from the front of a former sweep; see `points_of_front`.

    Raises:
        ValueError: nothing of its front is of use here.
    """
    try:
        return points_of_front(former.records, former.groups, space, objectives=former.objectives)
    except ValueError as error:
        raise ValueError(f"warm start from {former.folder}: {error}") from error


def points_of_front(
    records: Sequence[TrialRecord],
    groups: Sequence[PrunableGroup],
    space: Space,
    *,
    objectives: Sequence[str],
    most: int = MOST_POINTS,
) -> WarmStart:
    """Return points for `space` from the front of a former sweep: group by group on the same network, else by stages.

    Args:
        records: the former sweep's trials, of any status.
        groups: those of the former sweep's network.
        space: the new sweep's.
        objectives: the former sweep's metric keys, the quality first.
        most: how many members of the front are taken at most.

    Raises:
        ValueError: the former sweep has no finished trial, or none that this space can express.
    """
    members = _members(records, objectives, most)
    if not members:
        raise ValueError("nothing to start from: the former sweep has no finished trial; name one that has")
    projections = {record.number: _projected(record, groups, space) for record in members}
    usable = {number: projected for number, projected in projections.items() if _removes(space, projected)}
    if not usable:
        lost = next((line for projected in projections.values() for line in projected.dropped), "they remove nothing")
        raise ValueError(
            f"nothing to start from: of the former front ({len(projections)} trials) "
            f"nothing is left in this space ({lost})"
        )
    return WarmStart(
        points=tuple(projected.params for projected in usable.values()),
        mapped=tuple(
            f"trial {number}: {'; '.join(projected.mapped) or 'group by group'}" for number, projected in usable.items()
        ),
        dropped=tuple(
            f"trial {number}: {'; '.join(projected.dropped) or 'nothing of it removes anything here'}"
            for number, projected in projections.items()
            if projected.dropped or number not in usable
        ),
    )


def _members(records: Sequence[TrialRecord], objectives: Sequence[str], most: int) -> list[TrialRecord]:
    """Return members of the former front, spread along its costs."""
    finished = [record for record in records if record.status == "finished" and set(objectives) <= set(record.metrics)]
    values_NM = np.array([[record.metrics[key] for key in objectives] for record in finished])
    signs_M = np.array([METRICS[key].sign for key in objectives])
    on_front_N = pareto_front(values_NM.reshape(len(finished), len(objectives)) * signs_M)
    front = [record for record, on_front in zip(finished, on_front_N, strict=True) if on_front]
    if not front:
        return []
    costs_NM = np.log(values_NM[on_front_N, 1:])
    return [front[index] for index in farthest_first(costs_NM, [middle(costs_NM)], most)]


def _projected(record: TrialRecord, groups: Sequence[PrunableGroup], space: Space) -> Projected:
    assert record.schedule is not None, "a finished record has a schedule"
    if _shape(groups) == _shape(space.groups):
        return project_schedule(space, record.schedule)
    return project_resolutions(space, record.schedule, groups)


def _shape(groups: Sequence[PrunableGroup]) -> dict[str, int]:
    return {group.id: group.width for group in groups}


def _removes(space: Space, projected: Projected) -> bool:
    """Return whether anything is removed: the network that keeps all is in every sweep's ladder anyway."""
    schedule = space.propose(ScriptedSampler(projected.params))
    return any(schedule.ratios.values()) or schedule.quantization is not None

"""The front of a sweep: every finished trial, and which ones no other dominates."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from pruning.ledger import LedgerRow
from pruning.schedule import Schedule
from tracking.format_version import JsonFormat
from tracking.objectives import check_objectives
from tracking.pareto import hypervolume, pareto_front
from tracking.provenance import provenance as describe_process
from tracking.record import BORDER, METRICS, TrialRecord, check_metric_keys
from tracking.reference import Given, reference_point


class FrontPoint(BaseModel):
    """One finished trial.

    Attributes:
        number: of the trial.
        on_front: whether no other trial dominates it.
        metrics: under the keys of `METRICS`.
        schedule: how it pruned and trained.
        ledger: asked and achieved widths, a row a group.
    """

    model_config = BORDER

    number: int
    on_front: bool
    metrics: dict[str, float]
    schedule: Schedule
    ledger: tuple[LedgerRow, ...]

    @property
    def method(self) -> str:
        """Name of the pruning method."""
        return self.schedule.method


class Front(BaseModel):
    """The finished trials of a sweep compared on its objectives.

    Attributes:
        sweep: its name.
        objectives: metric keys, a quality and one or two costs.
        dense: the dense network's metrics.
        points: the finished trials, by number.
        hypervolume: what the points dominate above `reference`.
        reference: one number an objective, in that metric's own unit.
        provenance: of the measurements.
        notes: reasons to doubt what the front says, a line each.
    """

    model_config = BORDER

    sweep: str
    objectives: tuple[str, ...]
    dense: dict[str, float]
    points: tuple[FrontPoint, ...]
    hypervolume: float
    reference: tuple[float, ...]
    provenance: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def quality(self) -> str:
        """The key of the first objective, on the vertical axis of the charts."""
        return self.objectives[0]

    @property
    def cost(self) -> str:
        """The key of the second objective, on the horizontal axis of the charts."""
        return self.objectives[1]

    def members(self) -> list[FrontPoint]:
        """Return the trials on the front, the costliest (the slowest) first."""
        members = [point for point in self.points if point.on_front]
        return sorted(members, key=lambda point: METRICS[self.cost].sign * point.metrics[self.cost])


FRONT_JSON = JsonFormat("a front", Front)


def build_front(
    sweep: str,
    records: Iterable[TrialRecord],
    dense_metrics: Mapping[str, float],
    objectives: Sequence[str] = ("map", "speedup"),
    provenance: Mapping[str, str] | None = None,
    reference: Given | None = None,
) -> Front:
    """Compare the finished trials among `records` on `objectives`.

    A trial that lacks an objective is listed, never on the front.

    Args:
        sweep: the sweep's name.
        records: trials of any status, in any order; those not finished are left out.
        dense_metrics: the dense network's metrics, under the keys of `METRICS`.
        objectives: metric keys, see `tracking.objectives`.
        provenance: of the measurements; this process if None.
        reference: that the hypervolume is measured from, see `tracking.reference`.

    Raises:
        ValueError: a trial number occurs twice, the objectives cannot be objectives, a dense metric is unknown, or
            the dense network lacks the value of a cost, or is worse than the reference.
    """
    check_objectives(objectives)
    finished = _finished(records)
    dense = {"speedup": 1.0, **dense_metrics}
    check_metric_keys(dense)
    signs_M = np.array([METRICS[key].sign for key in objectives])
    points_NM = np.array([[record.metrics.get(key, np.nan) for key in objectives] for record in finished])
    points_NM = signs_M * points_NM.reshape(len(finished), len(objectives))
    corner = reference_point(objectives, dense, reference)
    points = tuple(
        FrontPoint(
            number=record.number,
            on_front=bool(on_front),
            metrics=record.metrics,
            schedule=record.schedule,
            ledger=record.ledger,
        )
        for record, on_front in zip(finished, pareto_front(points_NM), strict=True)
        if record.schedule is not None
    )
    return Front(
        sweep=sweep,
        objectives=tuple(objectives),
        dense=dense,
        points=points,
        hypervolume=hypervolume(points_NM, signs_M * corner),
        reference=corner,
        provenance=dict(describe_process() if provenance is None else provenance),
    )


def read_front(folder: Path) -> Front:
    """Read `front.json` in `folder`, equal to what `tracking.charts.write.write_front` was given.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its format version is not known; names it.
    """
    path = folder / "front.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no front.json: the folder of a sweep that has finished is right")
    return FRONT_JSON.read(path)


def _finished(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    finished = sorted((record for record in records if record.status == "finished"), key=lambda record: record.number)
    numbers = [record.number for record in finished]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise ValueError(f"trials {twice} occur more than once; one record a trial is right")
    return finished

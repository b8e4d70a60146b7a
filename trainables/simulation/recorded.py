"""A table of recorded trials that answers for any schedule of the same network: search measured without training.

The file is a Parquet with one row a trial (`benchmarks.record_table` makes one); its metadata, a `TableCard`, say what
of. A recorded schedule is answered as it was recorded. Any other is answered by a regression over the recorded ones, to
which what the regression left unexplained of one of them is added, drawn by the schedule's identity: so the answers are
as noisy as trials are, and the same each time.

Letters: N trials, G free groups, F features, E epochs.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet
from pydantic import BaseModel, ValidationError

from pruning.graph.groups import PrunableGroup
from pruning.predicted_cost import CostModel, kept_widths
from pruning.schedule import Schedule
from spaces.preset import load_preset
from spaces.space import Space
from tracking.files import write_atomically
from tracking.format_version import check_version
from tracking.record import BORDER, EpochPoint, TrialRecord
from tracking.sensitivity import SensitivityMap, SensitivitySettings
from tracking.validation import first_error
from trainables.baseline import build_dense
from trainables.settings import TrialSettings, example_image
from trainables.simulation.regression import Regression, fit

_CARD = b"prunefront.recorded"
_CURVE = ("map", "loss", "seconds")
_COSTS = ("parameters", "macs", "size_bytes", "mac_ratio", "compression", "speedup")
_RATIO_UNIT, _DECAY_UNIT = 0.3, 0.3  # as far apart as two methods are


class TableCard(BaseModel):
    """What a table was recorded of.

    groups: of the dense network.
    epochs, learning_rate: of every trial.
    settings: of every trial; the data's root relative to the project.
    sensitivity: measured on the same dense network.
    provenance: of the trials.
    """

    model_config = BORDER

    format: int = 1
    groups: tuple[PrunableGroup, ...]
    epochs: int
    learning_rate: float
    settings: TrialSettings
    sensitivity: SensitivityMap
    provenance: dict[str, str]


@dataclass(frozen=True)
class Recorded:
    """One row."""

    schedule: Schedule
    curve: tuple[EpochPoint, ...]
    costs: dict[str, float]


def write_table(
    path: Path,
    records: Sequence[TrialRecord],
    groups: Sequence[PrunableGroup],
    settings: TrialSettings,
    sensitivity: SensitivityMap,
) -> None:
    """Write finished trials as a table.

    Raises:
        ValueError: no trials, or their epochs differ.
    """
    lengths = {len(record.curve) for record in records}
    if len(lengths) != 1:
        raise ValueError(f"trials with {sorted(lengths)} epochs; some, all of equal length, are right")
    schedules = [record.schedule for record in records if record.schedule is not None]
    card = TableCard(
        groups=tuple(groups),
        epochs=lengths.pop(),
        learning_rate=schedules[0].learning_rate,
        settings=settings,
        sensitivity=sensitivity,
        provenance=records[0].provenance,
    )
    rows = [_row(record, schedule) for record, schedule in zip(records, schedules, strict=True)]
    table = pyarrow.Table.from_pylist(rows).replace_schema_metadata({_CARD: card.model_dump_json()})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def _row(record: TrialRecord, schedule: Schedule) -> dict[str, Any]:
    row = {"number": record.number, "schedule": schedule.model_dump_json()}
    row |= {key: record.metrics[key] for key in _COSTS}
    for point in record.curve:
        row |= {f"{key}_{point.epoch}": getattr(point, key) for key in _CURVE}
    return row


class RecordedTable:
    """A `trainables.simulation.simulated.Blackbox` on a table.

    Counted costs are exact. The speed is that of a recorded trial of the same widths, or else a regression's. The
    schedule's epochs and learning rate are not looked at, nor its patience: the recorded trials had none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a table.
    """

    def __init__(self, path: Path) -> None:
        table = parquet.read_table(path)
        try:
            self.card = TableCard.model_validate_json((table.schema.metadata or {})[_CARD])
        except KeyError as error:
            raise ValueError(f"{path} is not a table of recorded trials: it has no {_CARD.decode()!r}") from error
        except ValidationError as error:
            why = first_error(error, TableCard)
            raise ValueError(f"{path} is not a table of recorded trials: {why}") from error
        check_version(self.card.format, path, "a table of recorded trials")
        self.trials = tuple(_recorded(row, self.card.epochs) for row in table.to_pylist())
        self._by_key = {_key(trial.schedule): trial for trial in self.trials}
        pruned = {name for trial in self.trials for name in trial.schedule.ratios}
        self._free = tuple(group for group in self.groups if group.id in pruned)

    @property
    def groups(self) -> tuple[PrunableGroup, ...]:
        """Of the dense network."""
        return self.card.groups

    @property
    def epochs(self) -> int:
        """Of every trial."""
        return self.card.epochs

    @property
    def methods(self) -> tuple[str, ...]:
        """That were recorded, in order of first appearance."""
        return tuple(dict.fromkeys(trial.schedule.method for trial in self.trials))

    def space(self, allocation: str = "group") -> Space:
        """The default space over this network, with its sensitivity, without patience."""
        preset = load_preset("filters", methods=list(self.methods), allocation=allocation, patience=0)
        measured = self.card.sensitivity
        return Space(
            self.groups,
            preset,
            self.epochs,
            self.card.learning_rate,
            sensitivity=measured.ranks(),
            highest=measured.highest(SensitivitySettings().keep),
        )

    def costs(self, schedule: Schedule) -> dict[str, float]:
        """Counted costs, and the speedup."""
        features_1G = self._ratios(schedule)[None]
        speedup = self._speeds.get(tuple(features_1G[0]))
        if speedup is None:
            speedup = float(np.exp(self.speed_regression(features_1G / _RATIO_UNIT)[0, 0]))
        return {**self._cost_model.metrics(schedule), "speedup": speedup}

    def curve(self, schedule: Schedule) -> tuple[EpochPoint, ...]:
        """All epochs of a trial, as recorded or as predicted."""
        recorded = self._by_key.get(_key(schedule))
        return recorded.curve if recorded is not None else self._predicted(schedule)

    @cached_property
    def quality_regression(self) -> Regression:
        """From features of a schedule to the logits of the mAP after each epoch."""
        maps_NE = np.array([[point.map for point in trial.curve] for trial in self.trials])
        return fit(self._features_NF, np.log(maps_NE / (1 - maps_NE)))

    @cached_property
    def speed_regression(self) -> Regression:
        """From ratios, in units, to the logarithm of the speedup; trials of equal widths are one."""
        ratios_NG = np.array(list(self._speeds))
        return fit(ratios_NG / _RATIO_UNIT, np.log(list(self._speeds.values()))[:, None])

    def left_out_errors(self) -> tuple[list[float], float]:
        """How far off each recorded trial would be answered without it, noise included: root mean squares.

        Of the mAP after each epoch, as fractions; and of the speedup, as a share of it.
        """
        maps_NE = np.array([[point.map for point in trial.curve] for trial in self.trials])
        predicted_NE = 1 / (1 + np.exp(-self.quality_regression.left_out_NT))
        speeds_N1 = np.log(list(self._speeds.values()))[:, None]
        speed_errors_N1 = self.speed_regression.left_out_NT - speeds_N1
        rms_E = np.sqrt(((predicted_NE - maps_NE) ** 2).mean(axis=0))
        return rms_E.tolist(), float(np.sqrt((speed_errors_N1**2).mean()))

    def _predicted(self, schedule: Schedule) -> tuple[EpochPoint, ...]:
        rng = np.random.default_rng(int(schedule.identity, 16))
        features_1F = self._features(schedule)[None]
        noise_NE = self.quality_regression.residuals_NT
        logits_E = self.quality_regression(features_1F)[0] + noise_NE[rng.integers(len(noise_NE))]
        losses_E = np.exp(self._loss_regression(features_1F)[0])
        seconds = self._seconds(schedule)
        return tuple(
            EpochPoint(epoch=epoch, loss=float(loss), map=float(1 / (1 + np.exp(-logit))), seconds=seconds)
            for epoch, (loss, logit) in enumerate(zip(losses_E, logits_E, strict=True), start=1)
        )

    def _features(self, schedule: Schedule) -> np.ndarray:
        """Ratios, which method, and its decay; the shares removed of neighbouring groups meet in the kernel."""
        method_M = [float(schedule.method == name) for name in self.methods]
        decay = (schedule.decay or 0.0) / _DECAY_UNIT
        return np.concatenate([self._ratios(schedule) / _RATIO_UNIT, method_M, [decay]])

    def _ratios(self, schedule: Schedule) -> np.ndarray:
        """As achieved, of each free group."""
        widths = kept_widths(self.groups, schedule)
        return np.array([1 - widths[group.id] / group.width for group in self._free])

    def _seconds(self, schedule: Schedule) -> float:
        """Of an epoch: the cut network's where the method cuts first, else the dense one's."""
        medians = self._seconds_by_method
        if schedule.method not in medians:
            known = ", ".join(medians)
            raise ValueError(f"method {schedule.method!r} was not recorded; known are {known}")
        return medians[schedule.method]

    @cached_property
    def _seconds_by_method(self) -> dict[str, float]:
        """Median of an epoch: recorded beside other work, so the median says more than any single one."""
        return {
            name: float(np.median([p.seconds for t in self.trials if t.schedule.method == name for p in t.curve]))
            for name in self.methods
        }

    @cached_property
    def _features_NF(self) -> np.ndarray:  # noqa: N802
        return np.array([self._features(trial.schedule) for trial in self.trials])

    @cached_property
    def _loss_regression(self) -> Regression:
        losses_NE = np.array([[point.loss for point in trial.curve] for trial in self.trials])
        return fit(self._features_NF, np.log(np.maximum(losses_NE, 1e-6)))

    @cached_property
    def _speeds(self) -> dict[tuple[float, ...], float]:
        """Ratios → speedup; of trials of equal widths the mean."""
        found: dict[tuple[float, ...], list[float]] = {}
        for trial in self.trials:
            found.setdefault(tuple(self._ratios(trial.schedule)), []).append(trial.costs["speedup"])
        return {ratios: float(np.mean(speeds)) for ratios, speeds in found.items()}

    @cached_property
    def _cost_model(self) -> CostModel:
        network = build_dense(self.card.settings.network, classes=0)
        return CostModel.of(network, self.groups, example_image(self.card.settings.data.image_size))


def _recorded(row: dict[str, Any], epochs: int) -> Recorded:
    points = [{key: row[f"{key}_{epoch}"] for key in _CURVE} for epoch in range(1, epochs + 1)]
    return Recorded(
        schedule=Schedule.model_validate_json(row["schedule"]),
        curve=tuple(EpochPoint(epoch=epoch, **point) for epoch, point in enumerate(points, start=1)),
        costs={key: row[key] for key in _COSTS},
    )


def _key(schedule: Schedule) -> object:
    """Equal for schedules that are the same trial; groups that are not named keep all channels."""
    return schedule.method, schedule.decay, frozenset((name, ratio) for name, ratio in schedule.ratios.items() if ratio)

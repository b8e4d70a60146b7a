"""A table of recorded trials that gives results for any schedule of the same network, so that a search trains nothing.

The file is a Parquet with one row a trial (`benchmarks.record_table` makes one); its metadata, a `TableCard`,
say what was recorded. A recorded schedule gets the recorded results. Any other gets the prediction of a regression over
the recorded ones, plus the residual of one of them, drawn by the schedule's identity: so results are as noisy as those
of trials, and the same each time.

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
from pydantic import BaseModel, ValidationError, field_validator

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
_RATIO_UNIT, _DECAY_UNIT = 0.3, 0.3  # a difference that counts as much as one of methods


class TableCard(BaseModel):
    """The origin of a table.

    Attributes:
        format: version of the table's format.
        groups: of the dense network.
        epochs: of every trial.
        learning_rate: of every trial.
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

    @field_validator("groups", mode="before")
    @classmethod
    def _stage_was_the_name_of_a_resolution(cls, groups: Any) -> Any:
        """Read groups as the tables of version 0.1.0 hold them."""
        names = {"stage": "resolution"}
        return [
            {names.get(key, key): value for key, value in group.items()} if isinstance(group, dict) else group
            for group in groups
        ]


@dataclass(frozen=True)
class Recorded:
    """One row of a table.

    Attributes:
        schedule: of the trial.
        curve: its epochs.
        costs: of the cut network.
    """

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

    Args:
        path: of the Parquet file.
        records: of the trials.
        groups: of the dense network.
        settings: of every trial.
        sensitivity: measured on the same dense network.

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

    Counted costs are exact. The speed is that of a recorded trial of the same widths, else predicted by a regression.
    Epochs, learning rate and patience of a schedule are ignored: the recorded trials had no patience.

    Args:
        path: of the Parquet file.

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
        """The groups of the dense network."""
        return self.card.groups

    @property
    def epochs(self) -> int:
        """Epochs of every trial."""
        return self.card.epochs

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the recorded trials, in order of first appearance."""
        return tuple(dict.fromkeys(trial.schedule.method for trial in self.trials))

    def space(self, allocation: str = "group") -> Space:
        """Return the default space over this network, with its sensitivity, without patience."""
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
        """Return counted costs, and the speedup."""
        features_1G = self._ratios(schedule)[None]
        speedup = self._speeds.get(tuple(features_1G[0]))
        if speedup is None:
            speedup = float(np.exp(self.speed_regression(features_1G / _RATIO_UNIT)[0, 0]))
        return {**self._cost_model.metrics(schedule), "speedup": speedup}

    def curve(self, schedule: Schedule) -> tuple[EpochPoint, ...]:
        """Return all epochs of a trial, as recorded or as predicted."""
        recorded = self._by_key.get(_key(schedule))
        return recorded.curve if recorded is not None else self._predicted(schedule)

    def expected_map(self, schedule: Schedule) -> float:
        """Return the quality after the last epoch, without the noise of a trial: predicted, recorded or not."""
        return float(1 / (1 + np.exp(-self.quality_regression(self._features(schedule)[None])[0, -1])))

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
        """Return the errors of predicting each recorded trial from the others, noise included: root mean squares.

        Returns:
            The error of the mAP after each epoch, as fractions; and of the speedup, as a share of it.
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
        """Return the features of a schedule: ratios, which method, and its decay; the kernel combines them."""
        method_M = [float(schedule.method == name) for name in self.methods]
        decay = (schedule.decay or 0.0) / _DECAY_UNIT
        return np.concatenate([self._ratios(schedule) / _RATIO_UNIT, method_M, [decay]])

    def _ratios(self, schedule: Schedule) -> np.ndarray:
        """Return the ratio of each free group, as achieved."""
        widths = kept_widths(self.groups, schedule)
        return np.array([1 - widths[group.id] / group.width for group in self._free])

    def _seconds(self, schedule: Schedule) -> float:
        """Return the seconds of an epoch, which depend on whether the method cuts first."""
        medians = self._seconds_by_method
        if schedule.method not in medians:
            known = ", ".join(medians)
            raise ValueError(f"method {schedule.method!r} was not recorded; known are {known}")
        return medians[schedule.method]

    @cached_property
    def _seconds_by_method(self) -> dict[str, float]:
        """Method → median seconds of an epoch; the median, because other work ran beside some of them."""
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
        speedups: dict[tuple[float, ...], list[float]] = {}
        for trial in self.trials:
            speedups.setdefault(tuple(self._ratios(trial.schedule)), []).append(trial.costs["speedup"])
        return {ratios: float(np.mean(speeds)) for ratios, speeds in speedups.items()}

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
    """Return a key that is equal for schedules of the same trial; groups that are not named keep all channels."""
    return schedule.method, schedule.decay, frozenset((name, ratio) for name, ratio in schedule.ratios.items() if ratio)

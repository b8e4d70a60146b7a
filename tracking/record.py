"""The record of one trial, and the one table of all metrics: key, unit, better side and meaning."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from pruning.cost import Cost
from pruning.ledger import LedgerRow
from pruning.schedule import Schedule
from tracking.format_version import JsonFormat

BORDER = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
"""Configuration of every model that is written to a file: a diverged trial's NaN becomes the JSON string "NaN"."""


Reporter = Literal["every trial", "classic", "revisited", "market", "places", "dense gallery", "index"]
"""Which trials report a metric: all, those whose queries follow a protocol, or those with that [evaluation] setting."""


@dataclass(frozen=True)
class Metric:
    """One metric: what it means, and how a person reads it.

    Attributes:
        unit: of the values in records, as "fraction", "ms" or "bytes".
        better: the side that is better; "neither" for what describes another metric.
        meaning: one sentence.
        label: the name in tables and charts.
        form: format string of a value in tables, after `scale`.
        scale: what a value is multiplied by before it is shown.
        best: what the best trial by this metric is called, as "fastest".
        reported_by: which finished trials have a value, and so can have the metric as an objective; None for values
            that are no objective.
        counted: computes the value from the costs of the pruned and of the dense network, where it is counted.
    """

    unit: str
    better: Literal["higher", "lower", "neither"]
    meaning: str
    label: str
    form: str
    scale: float = 1.0
    best: str = "best"
    reported_by: Reporter | None = None
    counted: Callable[[Cost, Cost], float] | None = None

    @property
    def sign(self) -> int:
        """1 where higher is better, −1 where lower is, 0 where neither is."""
        return {"higher": 1, "lower": -1, "neither": 0}[self.better]

    @property
    def is_quality(self) -> bool:
        """Whether it says how well the network retrieves: a fraction, higher is better."""
        return self.unit == "fraction" and self.better == "higher"

    def show(self, value: float | None) -> str:
        """Return `value` as a person reads it ("82.4%", "×2.15"), a dash when there is none."""
        if value is None or math.isnan(value):
            return "–"
        return self.form.format(value * self.scale)


class Quality(NamedTuple):
    """A row of `_QUALITIES`: label and meaning of a quality on whatever queries, and which trials report it."""

    label: str
    meaning: str
    reported_by: Reporter


_QUALITIES = {
    "map": Quality("mAP", "Mean average precision", "every trial"),
    "map_asymmetric": Quality(
        "asym. mAP", "mAP with the dense network's descriptors for the database", "dense gallery"
    ),
    **{
        f"map_{level}": Quality(f"mAP {level}", f"mAP by the revisited {level.title()} protocol", "revisited")
        for level in ("easy", "hard")
    },
    **{
        f"mp_at_{k}{suffix}": Quality(
            f"mP@{k}{level and f' {level}'}",
            f"Mean precision of the first {k} by the revisited {protocol} protocol",
            "revisited",
        )
        for suffix, level, protocol in (("", "", "Medium"), ("_easy", "easy", "Easy"), ("_hard", "hard", "Hard"))
        for k in (1, 5, 10)
    },
    "map_step": Quality("mAP, steps", "mAP by the step rule over the queries that have a positive", "market"),
    **{
        f"cmc_at_{k}": Quality(f"CMC@{k}", f"Share of identities found among the first {k}", "market")
        for k in (1, 5, 10)
    },
    **{
        f"recall_at_{n}": Quality(f"R@{n}", f"Share of places found among the first {n}", "places")
        for n in (1, 5, 10, 20)
    },
}

_WITH_INTERVAL = ("map", "test_map")


def _qualities() -> Iterator[tuple[str, Metric]]:
    """Yield each of `_QUALITIES` on the validation queries, its twin `test_…`, and the intervals of the mAP."""
    for key, quality in _QUALITIES.items():
        label, meaning = quality.label, quality.meaning
        yield (
            key,
            _quality(f"{meaning} on the validation queries.", label, quality.reported_by),
        )
        yield from _interval(key, label)
        yield f"test_{key}", _quality(f"{meaning} on the test queries; front members only.", f"test {label}", None)
        yield from _interval(f"test_{key}", "test")


def _quality(meaning: str, label: str, reported_by: Reporter | None) -> Metric:
    return Metric("fraction", "higher", meaning, label, "{:.1%}", best="most accurate", reported_by=reported_by)


def _interval(key: str, label: str) -> Iterator[tuple[str, Metric]]:
    """Yield both ends of the interval of a quality, where it has one."""
    if key in _WITH_INTERVAL:
        for end, side in (("Lower", "low"), ("Upper", "high")):
            sentence = f"{end} end of the bootstrap interval of {key} over queries."
            yield f"{key}_{side}", Metric("fraction", "neither", sentence, f"{label} {side}", "{:.1%}")


METRICS: dict[str, Metric] = {
    **dict(_qualities()),
    "loss": Metric("loss", "lower", "Mean training loss of one epoch.", "loss", "{:.4f}"),
    "speedup": Metric(
        "ratio",
        "higher",
        "Dense ms / pruned ms: ratio of the minima of paired, alternating runs.",
        "speedup",
        "×{:.2f}",
        best="fastest",
        reported_by="every trial",
    ),
    "speedup_low": Metric(
        "ratio", "neither", "5th percentile of the paired ratios of speedup.", "speedup low", "×{:.2f}"
    ),
    "speedup_high": Metric(
        "ratio", "neither", "95th percentile of the paired ratios of speedup.", "speedup high", "×{:.2f}"
    ),
    "latency_ms": Metric("ms", "lower", "Shortest run of the pruned network.", "ms", "{:.2f}", best="fastest"),
    "dense_latency_ms": Metric(
        "ms", "neither", "Shortest run of the dense network in the same pairs.", "dense ms", "{:.2f}"
    ),
    "parameters": Metric(
        "count",
        "lower",
        "Trained numbers in the network.",
        "M params",
        "{:.2f}",
        1e-6,
        best="smallest",
        reported_by="every trial",
        counted=lambda cost, dense: float(cost.parameters),
    ),
    "macs": Metric(
        "count",
        "lower",
        "Multiply-adds of one image, counted.",
        "GMACs",
        "{:.2f}",
        1e-9,
        best="lightest",
        reported_by="every trial",
        counted=lambda cost, dense: float(cost.macs),
    ),
    "size_bytes": Metric(
        "bytes",
        "lower",
        "Bytes of the weights' file.",
        "MB",
        "{:.2f}",
        1e-6,
        best="smallest",
        reported_by="every trial",
        counted=lambda cost, dense: float(cost.size_bytes),
    ),
    "size_formula_bytes": Metric(
        "bytes",
        "lower",
        "The papers' size of coded weights, dense · (1 − pruned) · bits / 32: without positions and codebooks.",
        "MB by formula",
        "{:.2f}",
        1e-6,
        best="smallest",
    ),
    "pruned_weights": Metric(
        "fraction",
        "neither",
        "Share of the cut network's convolution and linear weights that are zero.",
        "pruned",
        "{:.1%}",
    ),
    "compression": Metric(
        "ratio",
        "higher",
        "Dense bytes / bytes.",
        "bytes ÷",
        "{:.2f}",
        best="smallest",
        reported_by="every trial",
        counted=lambda cost, dense: dense.size_bytes / cost.size_bytes,
    ),
    "mac_ratio": Metric(
        "ratio",
        "higher",
        "Dense multiply-adds / multiply-adds.",
        "MACs ÷",
        "{:.2f}",
        best="lightest",
        reported_by="every trial",
        counted=lambda cost, dense: dense.macs / cost.macs,
    ),
    "descriptor_size": Metric(
        "count", "lower", "Numbers in a descriptor.", "D", "{:.0f}", best="shortest", reported_by="every trial"
    ),
    "index_bytes": Metric(
        "bytes",
        "lower",
        "Bytes of the validation database's index.",
        "index MB",
        "{:.2f}",
        1e-6,
        best="smallest to index",
        reported_by="index",
    ),
    "search_ms": Metric(
        "ms",
        "lower",
        "Search of the validation database's index for one query.",
        "search ms",
        "{:.3f}",
        best="quickest to search",
        reported_by="index",
    ),
    "hypervolume": Metric(
        "product", "higher", "Room that a sweep's front dominates above its reference.", "hypervolume", "{:.3g}"
    ),
    "seconds": Metric("s", "lower", "Wall time of the trial's epochs, summed.", "seconds", "{:.1f}"),
}
"""Every metric by its key, which is the same in records, fronts, tables and MLflow.

To add a metric, write its row here and the function that computes it: as `counted` where it follows from the counted
costs of the two networks; else in the code that reports it under this key, which is `retrieval.evaluation.evaluate` for
the metrics of a protocol (whose rows are in `_QUALITIES`). A metric with `reported_by` can be an objective.
"""


def count_metrics(cost: Cost, dense: Cost) -> dict[str, float]:
    """Return every counted metric of a network, given its cost and that of the dense network."""
    return {key: metric.counted(cost, dense) for key, metric in METRICS.items() if metric.counted is not None}


def check_metric_keys(keys: Mapping[str, float]) -> None:
    """Refuse metrics that `METRICS` does not describe.

    Raises:
        ValueError: names the unknown keys and the known ones.
    """
    if unknown := sorted(keys.keys() - METRICS.keys()):
        raise ValueError(f"unknown metrics {unknown}; known are {sorted(METRICS)}")


class EpochPoint(BaseModel):
    """One epoch of a trial.

    Attributes:
        epoch: from 1 for trials.
        loss: mean training loss.
        map: validation mAP of a cut copy of the network, a fraction.
        seconds: wall time.
    """

    model_config = BORDER

    epoch: int = Field(ge=0)
    loss: float
    map: float
    seconds: float = Field(ge=0)


class TrialRecord(BaseModel):
    """Everything that is kept of one trial, written once when it has ended.

    A finished trial has a schedule and the metrics `map` and `speedup`, and all its metrics are finite.

    Attributes:
        number: of the trial, as in the study.
        status: how it ended; "excluded" means that its costs, known before it trained, lie outside the sweep's limits.
        message: why it failed, was stopped or was excluded.
        params: flat parameters that the searcher proposed.
        schedule: how it pruned and trained.
        curve: its epochs, in order.
        metrics: under the keys of `METRICS`.
        plan: group id → kept channels.
        ledger: asked and achieved widths, a row a group.
        provenance: where its numbers come from.
    """

    model_config = BORDER

    number: int = Field(ge=0)
    status: Literal["finished", "stopped", "excluded", "failed"]
    message: str = ""
    params: dict[str, StrictStr | StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]] = {}
    schedule: Schedule | None = None
    curve: tuple[EpochPoint, ...] = ()
    metrics: dict[str, float] = {}
    plan: dict[str, tuple[int, ...]] = {}
    ledger: tuple[LedgerRow, ...] = ()
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _check(self) -> "TrialRecord":
        check_metric_keys(self.metrics)
        epochs = [point.epoch for point in self.curve]
        if any(later <= earlier for earlier, later in itertools.pairwise(epochs)):
            raise ValueError(f"epochs {epochs} of trial {self.number}; each once and in order is right")
        if self.status == "finished":
            self._check_finished()
        if self.status == "failed" and not self.message:
            raise ValueError(f"trial {self.number} failed without a message; say what went wrong")
        return self

    def _check_finished(self) -> None:
        if self.schedule is None:
            raise ValueError(f"trial {self.number} finished without a schedule")
        if missing := sorted({"map", "speedup"} - self.metrics.keys()):
            raise ValueError(f"trial {self.number} finished without {missing}")
        if wild := {key: value for key, value in self.metrics.items() if not math.isfinite(value)}:
            raise ValueError(f"trial {self.number} finished with {wild}; only finite numbers are right")


class DenseMetrics(RootModel[dict[str, float]]):
    """The dense network's metrics, under the keys of `METRICS`."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


DENSE_JSON = JsonFormat("the dense network's metrics", DenseMetrics)
RECORD_JSON = JsonFormat("a trial's record", TrialRecord)


def write_record(path: Path, record: TrialRecord) -> None:
    """Write `record` to `path` as JSON, atomically; make missing folders."""
    RECORD_JSON.write(path, record)


def read_record(path: Path) -> TrialRecord:
    """Read what `write_record` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        UnknownFormatError: its format version is not known.
        ValueError: the file is damaged; names it and the first thing wrong in it.
    """
    return RECORD_JSON.read(path)

"""What is kept of one trial, and every metric's key: its unit, its better side and its meaning, once."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

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

from pruning.ledger import LedgerRow
from pruning.schedule import Schedule
from tracking.format_version import JsonFormat

BORDER = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
"""Of every value written to a file: a diverged trial's NaN survives as the JSON string "NaN"."""


@dataclass(frozen=True)
class Metric:
    """One metric: its unit, which side is better, one sentence, and how a person reads it in a table.

    `best` says what the best trial by it is: "fastest".
    """

    unit: str
    better: Literal["higher", "lower", "neither"]
    meaning: str
    label: str
    form: str
    scale: float = 1.0
    best: str = "best"

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


_QUALITIES = {
    "map": ("mAP", "Mean average precision"),
    "map_asymmetric": ("asym. mAP", "mAP with the dense network's descriptors for the database"),
    **{
        f"map_{level}": (f"mAP {level}", f"mAP by the revisited {level.title()} protocol") for level in ("easy", "hard")
    },
    **{
        f"mp_at_{k}{suffix}": (
            f"mP@{k}{level and f' {level}'}",
            f"Mean precision of the first {k} by the revisited {protocol} protocol",
        )
        for suffix, level, protocol in (("", "", "Medium"), ("_easy", "easy", "Easy"), ("_hard", "hard", "Hard"))
        for k in (1, 5, 10)
    },
    "map_step": ("mAP, steps", "mAP by the step rule over the queries that have a positive"),
    **{f"cmc_at_{k}": (f"CMC@{k}", f"Share of identities found among the first {k}") for k in (1, 5, 10)},
    **{f"recall_at_{n}": (f"R@{n}", f"Share of places found among the first {n}") for n in (1, 5, 10, 20)},
}
"""Label and meaning of each, on whatever queries."""

_WITH_INTERVAL = ("map", "test_map")


def _qualities() -> Iterator[tuple[str, Metric]]:
    """Each of `_QUALITIES` on the validation queries, its twin `test_…`, and the intervals of the mAP."""
    splits = (("", "", "on the validation queries"), ("test_", "test ", "on the test queries; front members only"))
    for key, (label, meaning) in _QUALITIES.items():
        for prefix, word, queries in splits:
            name = prefix + key
            yield (
                name,
                Metric("fraction", "higher", f"{meaning} {queries}.", word + label, "{:.1%}", best="most accurate"),
            )
            if name in _WITH_INTERVAL:
                for end, side in (("Lower", "low"), ("Upper", "high")):
                    sentence = f"{end} end of the bootstrap interval of {name} over queries."
                    short = f"{word.strip() or label} {side}"
                    yield f"{name}_{side}", Metric("fraction", "neither", sentence, short, "{:.1%}")


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
    "parameters": Metric("count", "lower", "Trained numbers in the network.", "M params", "{:.2f}", 1e-6, "smallest"),
    "macs": Metric("count", "lower", "Multiply-adds of one image, counted.", "GMACs", "{:.2f}", 1e-9, "lightest"),
    "size_bytes": Metric("bytes", "lower", "Bytes of the weights' file.", "MB", "{:.2f}", 1e-6, "smallest"),
    "size_formula_bytes": Metric(
        "bytes",
        "lower",
        "The papers' size of coded weights, dense · (1 − pruned) · bits / 32: without positions and codebooks.",
        "MB by formula",
        "{:.2f}",
        1e-6,
        "smallest",
    ),
    "pruned_weights": Metric(
        "fraction",
        "neither",
        "Share of the cut network's convolution and linear weights that are zero.",
        "pruned",
        "{:.1%}",
    ),
    "compression": Metric("ratio", "higher", "Dense bytes / bytes.", "bytes ÷", "{:.2f}", best="smallest"),
    "mac_ratio": Metric("ratio", "higher", "Dense multiply-adds / multiply-adds.", "MACs ÷", "{:.2f}", best="lightest"),
    "descriptor_size": Metric("count", "lower", "Numbers in a descriptor.", "D", "{:.0f}", best="shortest"),
    "index_bytes": Metric(
        "bytes", "lower", "Bytes of the validation database's index.", "index MB", "{:.2f}", 1e-6, "smallest to index"
    ),
    "search_ms": Metric(
        "ms",
        "lower",
        "Search of the validation database's index for one query.",
        "search ms",
        "{:.3f}",
        best="quickest to search",
    ),
    "hypervolume": Metric(
        "product", "higher", "Room that a sweep's front dominates above its reference.", "hypervolume", "{:.3g}"
    ),
    "seconds": Metric("s", "lower", "Wall time of the trial's epochs, summed.", "seconds", "{:.1f}"),
}


def check_metric_keys(keys: Mapping[str, float]) -> None:
    """Refuse metrics that `METRICS` does not describe.

    Raises:
        ValueError: names the unknown keys and the known ones.
    """
    if unknown := sorted(keys.keys() - METRICS.keys()):
        raise ValueError(f"unknown metrics {unknown}; known are {sorted(METRICS)}")


class EpochPoint(BaseModel):
    """One epoch of a trial: mean training loss, validation mAP of a cut copy (fraction), wall time."""

    model_config = BORDER

    epoch: int = Field(ge=0)
    loss: float
    map: float
    seconds: float = Field(ge=0)


class TrialRecord(BaseModel):
    """Everything that is kept of one trial, written once when it has ended.

    `message` says why a trial failed, was stopped, or was excluded: its cost, known before it trained, lies outside the
    sweep's limits. `params` are the searcher's own flat parameters; `plan`
    holds each group's kept channels. A finished trial has a schedule, `map` and `speedup`, all finite.
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
    """Write `record` to `path` as JSON, atomically; missing folders are made."""
    RECORD_JSON.write(path, record)


def read_record(path: Path) -> TrialRecord:
    """Read what `write_record` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        UnknownFormatError: its format version is not known.
        ValueError: the file is damaged; names it and the first thing wrong in it.
    """
    return RECORD_JSON.read(path)

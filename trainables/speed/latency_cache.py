"""The speed of a network's shape, measured once: trials of equal widths are equally fast."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from pruning.identity import json_identity
from retrieval.runtime.latency import LatencySettings, Speedup, paired_speedup
from tracking.files import write_atomically
from trainables.settings import TrialSettings

_SPEEDUP_JSON = TypeAdapter(Speedup)


@dataclass(frozen=True)
class Pair:
    """A dense and a pruned network whose speeds are to be compared.

    key: equal for pairs that differ in their weights alone, so that one measurement answers them all.
    models: exports the two to ONNX, which takes seconds; called only when somebody measures.
    """

    key: str
    models: Callable[[], tuple[bytes, bytes]]
    settings: LatencySettings


Measure = Callable[[Pair], Speedup]


class Meter(Protocol):
    """Whatever times two ONNX models against each other and keeps the result in a file, unless it is there already."""

    def __call__(self, dense: bytes, pruned: bytes, settings: LatencySettings, keep: Path) -> Speedup:
        """What is in `keep`, or a measurement that is then."""


def measure_now(pair: Pair) -> Speedup:
    """Measure in this process."""
    return paired_speedup(*pair.models(), pair.settings)


@dataclass(frozen=True)
class Speeds:
    """The speeds of a sweep's shapes, one file `<key>.json` for each in `folder`: what is there is not measured again.

    Of two trials of the same shape that ask at the same time the second waits for the first one's measurement.
    """

    folder: Path
    meter: Meter

    def __call__(self, pair: Pair) -> Speedup:
        """The speed of the pruned network, from its file or measured."""
        path = self.folder / f"{pair.key}.json"
        return read_speed(path) or self.meter(*pair.models(), pair.settings, path)


def pair_key(widths: Mapping[str, int], settings: TrialSettings) -> str:
    """Sixteen hex digits of all that a delivered network's speed depends on: its kept widths, and what is the same for
    all trials of a sweep, but not on its weights.
    """
    parts = {
        "widths": dict(widths),
        "network": settings.network.model_dump(exclude={"weights"}),
        "descriptor": settings.descriptor.model_dump(exclude={"images"}),
        "latency": settings.latency.model_dump(),
    }
    return json_identity(parts)


def read_speed(path: Path) -> Speedup | None:
    """What `write_speed` wrote; None when there is no file, or it is damaged: the shape is then measured again."""
    try:
        return _SPEEDUP_JSON.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_speed(path: Path, speed: Speedup) -> None:
    """Keep a measurement, atomically."""
    write_atomically(path, json.dumps(asdict(speed)))

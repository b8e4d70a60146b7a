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

    Attributes:
        key: equal for pairs that differ in their weights alone, so that one measurement holds for all of them.
        models: exports the two to ONNX, which takes seconds; called only when the speed is measured.
        settings: of the measurement.
    """

    key: str
    models: Callable[[], tuple[bytes, bytes]]
    settings: LatencySettings


Measure = Callable[[Pair], Speedup]


class LatencyMeter(Protocol):
    """A function that times two ONNX models against each other, as `trainables.speed.meter.MeterClient`."""

    def __call__(self, dense: bytes, pruned: bytes, settings: LatencySettings, keep: Path | None = None) -> Speedup:
        """Return the measurement in the file `keep`; where there is none, measure, and write it there.

        Args:
            dense: ONNX model of the dense network.
            pruned: ONNX model of the pruned network.
            settings: of the measurement.
            keep: None measures in any case.
        """


def measure_now(pair: Pair) -> Speedup:
    """Measure in this process."""
    return paired_speedup(*pair.models(), pair.settings)


@dataclass(frozen=True)
class LatencyCache:
    """The speeds of a sweep's network shapes; a shape whose file exists is not measured again.

    Of two trials of the same shape that ask at the same time, the second waits for the first one's measurement.

    Attributes:
        folder: holds a file `<key>.json` for each shape.
        meter: measures a shape that has no file.
    """

    folder: Path
    meter: LatencyMeter

    def __call__(self, pair: Pair) -> Speedup:
        """Return the speed of the pruned network, from its file or measured now."""
        path = self.folder / f"{pair.key}.json"
        return read_speed(path) or self.meter(*pair.models(), pair.settings, path)


def pair_key(widths: Mapping[str, int], settings: TrialSettings) -> str:
    """Return sixteen hex digits of all that a delivered network's speed depends on, which excludes its weights.

    Args:
        widths: group id → kept channels.
        settings: of the sweep.
    """
    parts = {
        "widths": dict(widths),
        "network": settings.network.model_dump(exclude={"weights"}),
        "descriptor": settings.descriptor.model_dump(exclude={"images"}),
        "latency": settings.latency.model_dump(),
    }
    return json_identity(parts)


def read_speed(path: Path) -> Speedup | None:
    """Return what `write_speed` wrote; None when there is no file, or it is damaged: the shape is measured again."""
    try:
        return _SPEEDUP_JSON.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_speed(path: Path, speed: Speedup) -> None:
    """Write a measurement to a file, atomically."""
    write_atomically(path, json.dumps(asdict(speed)))

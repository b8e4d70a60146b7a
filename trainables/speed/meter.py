"""The one process of a sweep that measures speed: an actor, so that no two measurements ever run at once."""

from pathlib import Path
from typing import Any

import ray

from retrieval.runtime.latency import LatencySettings, Speedup, paired_speedup
from trainables.speed.latency_cache import read_speed, write_speed
from trainables.threads import use_threads


class MeterActor:
    """The actor that times pruned networks against the dense one, one at a time, on the machine that Ray placed it on.

    Args:
        threads: how many torch and the runtime may use.
    """

    def __init__(self, threads: int) -> None:
        use_threads(threads)

    def measure(self, dense: bytes, pruned: bytes, settings: LatencySettings, keep: Path | None) -> Speedup:
        """Return the speed that `keep` holds, or measure it; see `MeterClient`."""
        # Read here, where calls come one after the other: another trial may have asked for the same meanwhile.
        if keep is not None and (speed := read_speed(keep)) is not None:
            return speed
        speed = paired_speedup(dense, pruned, settings)
        if keep is not None:
            write_speed(keep, speed)
        return speed


class MeterClient:
    """The actor as a plain function, a `trainables.speed.latency_cache.LatencyMeter`; can be sent to any worker.

    Args:
        actor: handle of a `MeterActor`; Ray gives its handles no useful type.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __call__(self, dense: bytes, pruned: bytes, settings: LatencySettings, keep: Path | None = None) -> Speedup:
        """Wait until the actor is free, and measure (see `retrieval.runtime.latency.paired_speedup`).

        Args:
            dense: ONNX model of the dense network.
            pruned: ONNX model of the pruned network.
            settings: of the measurement.
            keep: file that keeps the measurement; if it exists, its content is returned. None measures in any case.
        """
        speedup: Speedup = ray.get(self._actor.measure.remote(dense, pruned, settings, keep))
        return speedup


def start_meter(threads: int) -> MeterClient:
    """Start the meter of a sweep.

    It holds no core of its own: while it measures, the trial that asked for it waits. Ray starts it again when its
    node is lost.
    """
    actor = ray.remote(MeterActor).options(num_cpus=0, max_restarts=-1, max_task_retries=3)
    return MeterClient(actor.remote(threads))

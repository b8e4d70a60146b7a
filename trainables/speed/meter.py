"""The one process of a sweep that measures speed: an actor, so that no two measurements ever run at once."""

from pathlib import Path
from typing import Any

import ray

from retrieval.runtime.latency import LatencySettings, Speedup, paired_speedup
from trainables.speed.latency_cache import read_speed, write_speed
from trainables.threads import use_threads


class Meter:
    """Times pruned networks against the dense one, one at a time, on the machine that it was placed on."""

    def __init__(self, threads: int) -> None:
        use_threads(threads)

    def measure(self, dense: bytes, pruned: bytes, settings: LatencySettings, keep: Path | None) -> Speedup:
        """See `LatencyMeter`."""
        # Here, where one comes after the other: another trial may have asked for the same while this one waited.
        if keep is not None and (speed := read_speed(keep)) is not None:
            return speed
        speed = paired_speedup(dense, pruned, settings)
        if keep is not None:
            write_speed(keep, speed)
        return speed


class LatencyMeter:
    """A meter as a plain function; travels to any worker."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor  # Ray gives its handles no useful type

    def __call__(self, dense: bytes, pruned: bytes, settings: LatencySettings, keep: Path | None = None) -> Speedup:
        """Wait for the meter to be free, and measure (see `retrieval.runtime.latency.paired_speedup`).

        Args:
            keep: file that keeps the measurement; what it holds already is the answer. None measures in any case.
        """
        speedup: Speedup = ray.get(self._actor.measure.remote(dense, pruned, settings, keep))
        return speedup


def start_meter(threads: int) -> LatencyMeter:
    """Start the meter of a sweep.

    It holds no core of its own: while it measures, the trial that asked for it waits. It is started again when its
    node is lost.
    """
    actor = ray.remote(Meter).options(num_cpus=0, max_restarts=-1, max_task_retries=3)
    return LatencyMeter(actor.remote(threads))

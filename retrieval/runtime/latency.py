"""Measuring how much faster one network runs than another, so that a busy machine matters little."""

import time
from dataclasses import dataclass

import numpy as np
import onnxruntime
from pydantic import BaseModel, Field, PositiveInt

from retrieval.images import height_and_width
from retrieval.runtime.onnx_model import INPUT, open_session


class LatencySettings(BaseModel, frozen=True, extra="forbid"):
    """[latency]: how a latency is measured.

    Attributes:
        image_size: pixels of the image, square or [height, width].
        threads: CPU threads of ONNX Runtime.
        pairs: alternating runs of the dense and the pruned network.
        warm_up: runs of each before the first that counts.
    """

    image_size: PositiveInt | tuple[PositiveInt, PositiveInt]
    threads: int = Field(default=1, ge=1)
    pairs: int = Field(default=50, ge=25)
    warm_up: int = Field(default=5, ge=1)


@dataclass(frozen=True)
class Speedup:
    """A paired measurement of a dense and a pruned network at batch size 1.

    Attributes:
        dense_latency_ms: minimum over all runs of the dense network.
        latency_ms: minimum over all runs of the pruned network.
        speedup: `dense_latency_ms` / `latency_ms`.
        speedup_low: 5th percentile of the ratios of single pairs.
        speedup_high: their 95th percentile; the distance between both is the spread by the machine's noise.
    """

    dense_latency_ms: float
    latency_ms: float
    speedup: float
    speedup_low: float
    speedup_high: float


def paired_speedup(dense: bytes, pruned: bytes, settings: LatencySettings) -> Speedup:
    """Time two ONNX models in one process, alternating, and compare their fastest runs.

    The minimum is the time without disturbance; both models share whatever disturbance there is, so their ratio
    holds on a shared machine where the times themselves do not.

    Args:
        dense: a serialised ONNX model.
        pruned: another.
        settings: image size, threads and number of runs.
    """
    sessions = [open_session(model, threads=settings.threads) for model in (dense, pruned)]
    image = np.zeros((1, 3, *height_and_width(settings.image_size)), dtype=np.float32)
    for _ in range(settings.warm_up):
        for session in sessions:
            _run_ms(session, image)
    times_ms = np.array([[_run_ms(session, image) for session in sessions] for _ in range(settings.pairs)])
    dense_ms, pruned_ms = times_ms.min(axis=0)
    low, high = np.quantile(times_ms[:, 0] / times_ms[:, 1], (0.05, 0.95))
    return Speedup(
        dense_latency_ms=float(dense_ms),
        latency_ms=float(pruned_ms),
        speedup=float(dense_ms / pruned_ms),
        speedup_low=float(low),
        speedup_high=float(high),
    )


def _run_ms(session: onnxruntime.InferenceSession, image: np.ndarray) -> float:
    start = time.perf_counter()
    session.run(None, {INPUT: image})
    return (time.perf_counter() - start) * 1000

"""How long k-means takes over all weights of a large network.

    python -m pytest benchmarks/speed/bench_kmeans.py

One core. Letters: N values, C centres.
"""

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.speed.memory import peak_extra_mib
from pruning.coding.quantize import kmeans_codebook

COUNT = 25_000_000


def laplace_with_a_hole(count: int) -> Tensor:
    """Weights as magnitude pruning leaves them: Laplace-distributed, none within one scale of zero; N, float32."""
    generator = np.random.default_rng(0)
    sign_N = generator.choice(np.array([-0.02, 0.02], dtype=np.float32), size=count)
    return torch.from_numpy(sign_N * (1 + generator.standard_exponential(count, dtype=np.float32)))


@pytest.mark.parametrize("bits", [5, 8])
def test_kmeans_of_25_million_weights(benchmark: BenchmarkFixture, bits: int) -> None:
    """More bits take more iterations."""
    if bits == 5:
        benchmark.extra_info["at_most"] = "5 s"
    values_N = laplace_with_a_hole(COUNT)
    centres_C, codes_N = benchmark.pedantic(kmeans_codebook, (values_N, bits), rounds=5, warmup_rounds=1)
    benchmark.extra_info["peak_extra_mib"] = peak_extra_mib(lambda: kmeans_codebook(values_N, bits))
    sums_C = torch.bincount(codes_N, weights=values_N.double(), minlength=2**bits)
    means_C = sums_C / torch.bincount(codes_N, minlength=2**bits)
    filled_C = means_C.isfinite()
    torch.testing.assert_close(centres_C[filled_C].double(), means_C[filled_C], rtol=1e-6, atol=1e-9)

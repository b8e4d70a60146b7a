"""How sure a mAP is, and whether another one is better: 1,000 resamples of 500 queries.

python -m pytest benchmarks/speed/bench_bootstrap.py
"""

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from retrieval.evaluation.significance import compare, map_interval

APS_Q = np.random.default_rng(0).uniform(size=500)


def test_interval_of_a_map(benchmark: BenchmarkFixture) -> None:
    benchmark.extra_info["at_most"] = "50 ms"
    low, high = benchmark(map_interval, APS_Q)
    assert low < APS_Q.mean() < high


def test_interval_and_p_value_of_a_gain(benchmark: BenchmarkFixture) -> None:
    benchmark.extra_info["at_most"] = "50 ms"
    found = benchmark(compare, APS_Q, np.clip(APS_Q + 0.05, 0, 1))
    assert found.low > 0
    assert found.p_value < 0.01

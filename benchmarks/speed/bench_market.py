"""An evaluation of Market-1501's size, from the distances on: counted, beside sorting every row of them.

python -m pytest benchmarks/speed/bench_market.py
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.speed.memory import peak_extra_mib
from benchmarks.speed.plain_ranking import plain_market_map_step
from retrieval.evaluation.metrics import evaluate_market

QUERIES, RIGHT, BACKGROUND, JUNK, IDENTITIES = 3368, 13_115, 2798, 3819, 750

Given = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def given() -> Given:
    rng = np.random.default_rng(0)
    gallery_pids = np.concatenate(
        [rng.integers(1, IDENTITIES + 1, RIGHT), np.zeros(BACKGROUND, dtype=int), np.full(JUNK, -1)]
    )
    query_pids = rng.integers(1, IDENTITIES + 1, QUERIES)
    distance_QN = rng.random((QUERIES, gallery_pids.size), dtype=np.float32)
    distance_QN[query_pids[:, None] == gallery_pids] *= 0.1
    return distance_QN, query_pids, gallery_pids, rng.integers(1, 7, QUERIES), rng.integers(1, 7, gallery_pids.size)


@pytest.mark.parametrize("rule", ["counted", "sorted"])
def test_an_evaluation_of_the_size_of_market_1501(benchmark: BenchmarkFixture, rule: str) -> None:
    arguments = given()
    if rule == "sorted":
        assert 0 < benchmark.pedantic(plain_market_map_step, arguments, rounds=3, warmup_rounds=1) < 1
        return
    benchmark.extra_info["at_most"] = "3 s, 2 GiB"
    found = benchmark.pedantic(evaluate_market, arguments, rounds=5, warmup_rounds=1)
    distances_mib = arguments[0].nbytes / 2**20
    benchmark.extra_info["peak_extra_mib"] = distances_mib + peak_extra_mib(lambda: evaluate_market(*arguments))
    assert found.map_step == pytest.approx(plain_market_map_step(*arguments))
    assert benchmark.extra_info["peak_extra_mib"] < 2048

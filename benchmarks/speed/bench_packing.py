"""The bytes on disk: packing and unpacking 25 million weights, 5 bits, three quarters of them pruned.

python -m pytest benchmarks/speed/bench_packing.py
"""

from functools import cache

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from pruning.coding.packing import pack, unpack
from pruning.coding.quantize import QuantizedWeight, codebook
from pruning.coding.sparsity import share_mask

LAYERS, ROWS, LENGTH = 25, 1000, 1000


@cache
def network() -> tuple[dict[str, Tensor], dict[str, QuantizedWeight]]:
    generator = torch.Generator().manual_seed(0)
    state = {f"layer{i}.weight": torch.randn(ROWS, LENGTH, generator=generator) for i in range(LAYERS)}
    return state, {name: codebook(weight, share_mask(weight, 0.75), 5) for name, weight in state.items()}


@pytest.mark.parametrize("codes", ["plain", "huffman"])
def test_packing_25_million_weights(benchmark: BenchmarkFixture, codes: str) -> None:
    state, quantized = network()
    data = benchmark.pedantic(pack, (state, quantized), {"huffman": codes == "huffman"}, rounds=3)
    benchmark.extra_info["size_mb"] = len(data) / 1e6
    assert len(data) < LAYERS * ROWS * LENGTH


@pytest.mark.parametrize("codes", ["plain", "huffman"])
def test_unpacking_25_million_weights(benchmark: BenchmarkFixture, codes: str) -> None:
    state, quantized = network()
    unpacked = benchmark.pedantic(unpack, (pack(state, quantized, huffman=codes == "huffman"),), rounds=3)
    assert all(torch.equal(unpacked[name], weight.dequantize()) for name, weight in quantized.items())

"""Extraction beside the bare forward pass on the same batches: what reading and decoding add.

    python -m pytest benchmarks/speed/bench_extraction.py

ResNet-50 with GeM, one torch thread, photographs of 1024×768 on disk read at 224 pixels, nothing kept from round to
round. The two take turns in one run; a second core must be free, for the images are read beside the network.
"""

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from retrieval.descriptors.extract import describe_with, extract
from retrieval.descriptors.prefetch import read_batches
from retrieval.images import ImageReader
from retrieval.networks.network import build_network

IMAGES, BATCH, ROUNDS = 48, 16, 5


def photographs(folder: Path) -> list[tuple[Path, None]]:
    """Smooth colours with some noise: JPEG files of some 200 kB, as photographs of this size have."""
    rng = np.random.default_rng(0)
    items = []
    for i in range(IMAGES):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((1024, 768))
        noisy = np.asarray(coarse) + rng.normal(0, 6, (768, 1024, 1))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)
        items.append((folder / f"{i}.jpg", None))
    return items


def test_extraction_at_nine_tenths_of_the_bare_forward_pass(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    torch.manual_seed(0)
    describe = describe_with(build_network("resnet50"), torch.device("cpu"))
    images, reader = photographs(tmp_path), ImageReader(224, cache_bytes=0)
    batches = [batch.images_NCHW for batch in read_batches(images, reader, batch_size=BATCH)]
    bare: list[float] = []

    def forward_alone() -> None:
        start = time.perf_counter()
        for images_NCHW in batches:
            describe(images_NCHW)
        bare.append(time.perf_counter() - start)

    benchmark.pedantic(
        extract,
        (describe, images, reader),
        {"batch_size": BATCH},
        setup=forward_alone,
        rounds=ROUNDS,
        warmup_rounds=1,
    )
    benchmark.extra_info["at_most"] = f"{min(bare) / 0.9:.2f} s (bare forward pass: {min(bare):.2f} s)"

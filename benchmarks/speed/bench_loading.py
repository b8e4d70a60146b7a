"""The index of 100,000 images' paths: how long until a data set stands ready, its files listed on disk.

python -m pytest benchmarks/speed/bench_loading.py
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from retrieval.datasets.base import Images, RetrievalSet
from retrieval.datasets.distractors import load_flickr100k, load_revisitop1m
from retrieval.datasets.formats.manifest import load_manifest
from retrieval.datasets.formats.market1501 import load_market
from retrieval.datasets.formats.utm import load_utm_folder

IMAGES, QUERIES, FOLDERS = 100_000, 1000, 100


def write_flickr100k(root: Path) -> None:
    for number in range(FOLDERS):
        tag = f"tag{number:02d}"
        touch(root / tag, [f"{tag}_{image:06d}.jpg" for image in range(IMAGES // FOLDERS)])


def write_revisitop1m(root: Path) -> None:
    write_flickr100k(root / "jpg")
    names = sorted(path.relative_to(root / "jpg").as_posix() for path in (root / "jpg").rglob("*.jpg"))
    (root / "revisitop1m.txt").write_text("\n".join(names))


def write_market1501(root: Path) -> None:
    """Sixty images of each of many people, from six cameras."""
    names = [f"{1 + i // 60:04d}_c{1 + i % 6}s1_{i:06d}_00.jpg" for i in range(IMAGES)]
    touch(root / "bounding_box_test", names)
    touch(root / "query", names[:: IMAGES // QUERIES])


def write_utm(root: Path) -> None:
    metres = np.random.default_rng(0).uniform(0, 5000, (IMAGES + QUERIES, 2))
    names = [
        f"@{580000 + east:010.2f}@{4470000 + north:010.2f}@17@T@@@{i:06d}@@@@@@@.jpg"
        for i, (east, north) in enumerate(metres)
    ]
    touch(root / "images" / "test" / "database", names[:IMAGES])
    touch(root / "images" / "test" / "queries", names[IMAGES:])


def write_manifest(root: Path) -> None:
    write_flickr100k(root / "jpg")
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
    labels = [str(i // 20) for i in range(IMAGES)]
    splits = ["test_query" if i % (IMAGES // QUERIES) == 0 else "test" for i in range(IMAGES)]
    pq.write_table(pa.table({"path": names, "label": labels, "split": splits}), root / "manifest.parquet")


def touch(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


Loader = Callable[[Path], Images | RetrievalSet]

FORMATS: dict[str, tuple[Callable[[Path], None], Loader]] = {
    "flickr100k": (write_flickr100k, load_flickr100k),
    "revisitop1m": (write_revisitop1m, load_revisitop1m),
    "market1501": (write_market1501, load_market),
    "utm": (write_utm, load_utm_folder),
    "manifest": (write_manifest, lambda root: load_manifest(root / "manifest.parquet")),
}


@pytest.fixture(params=FORMATS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Loader, Path]:
    write, load = FORMATS[request.param]
    write(tmp_path / "set")
    return load, tmp_path / "set"


def test_loading_the_paths_of_100000_images(benchmark: BenchmarkFixture, written: tuple[Loader, Path]) -> None:
    benchmark.extra_info["at_most"] = "2 s"
    load, root = written
    found = benchmark.pedantic(load, (root,), rounds=5, warmup_rounds=1)
    count = len(found.images) if isinstance(found, RetrievalSet) else len(found)
    # The manifest's queries are no part of its database.
    assert count in (IMAGES, IMAGES - QUERIES)

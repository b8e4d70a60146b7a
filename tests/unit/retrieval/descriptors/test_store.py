import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch import nn

from retrieval.descriptors.extract import extract
from retrieval.descriptors.files import map_arrow, read_parquet, write_arrow, write_parquet
from retrieval.descriptors.store import (
    DescriptorStore,
    data_digest,
    extract_stored,
    image_names,
    store_key,
    weights_digest,
)
from retrieval.images import ImageReader, UnreadableImagesError
from retrieval.networks.multiscale import MultiScale
from retrieval.networks.network import RetrievalNetwork, build_network
from retrieval.networks.pooling import RMAC, GeM

# As `describe` below, in a process of its own that never comes to the end of its second part.
SLOW_EXTRACTION = """
import sys, time
from pathlib import Path
from retrieval.images import ImageReader
from retrieval.descriptors.store import extract_stored

def describe(images_NCHW):
    if (Path(sys.argv[2]) / "part-00000-float32.arrow").exists():
        time.sleep(600)
    return images_NCHW.mean((2, 3)).numpy()

images = [(path, None) for path in sorted(Path(sys.argv[1]).glob("*.png"))]
extract_stored(describe, images, ImageReader(None), Path(sys.argv[2]), batch_size=4, part_size=4)
"""


def describe(images_NCHW: torch.Tensor) -> np.ndarray:
    return images_NCHW.mean((2, 3)).numpy()


class CountingReader(ImageReader):
    def __init__(self) -> None:
        super().__init__(None)
        self.count = 0

    def read(self, path, box=None):
        with self._lock:
            self.count += 1
        return super().read(path, box)


@pytest.fixture
def images(tmp_path):
    items = [(tmp_path / "images" / f"{i:02d}.png", None) for i in range(10)]
    items[0][0].parent.mkdir()
    for i, (path, _) in enumerate(items):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(path)
    return items


def store(images, folder, **options):
    """How many images had to be read, and all descriptors."""
    reader = CountingReader()
    parts = extract_stored(describe, images, reader, folder, part_size=4, **options)
    assert [len(part) for part in parts] == [4, 4, 2]
    return reader.count, np.concatenate(parts)


def test_a_second_extraction_reads_no_image_and_gives_the_same(images, tmp_path):
    first, second = store(images, tmp_path / "kept"), store(images, tmp_path / "kept")
    assert (first[0], second[0]) == (10, 0)
    assert np.array_equal(first[1], extract(describe, images, ImageReader(None)))
    assert np.array_equal(first[1], second[1])


def test_an_extraction_that_was_killed_goes_on_where_it_was(images, tmp_path):
    folder = tmp_path / "kept"
    words = [sys.executable, "-c", SLOW_EXTRACTION, str(tmp_path / "images"), str(folder)]
    process = subprocess.Popen(words, cwd=Path(__file__).parents[3])
    try:
        deadline = time.monotonic() + 60
        while not (folder / "part-00000-float32.arrow").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert [path.name for path in folder.iterdir()] == ["part-00000-float32.arrow"]
    read, found = store(images, folder)
    assert read == 6
    assert np.array_equal(found, extract(describe, images, ImageReader(None)))


def one_bit_flipped(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[data.index(map_arrow(path).descriptors_ND.tobytes())] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "damaged",
    [
        lambda path: b"",
        lambda path: b"no arrow at all",
        lambda path: path.read_bytes()[: path.stat().st_size // 2],
        lambda path: path.read_bytes()[:-1],
        one_bit_flipped,
    ],
    ids=["empty", "other", "half", "cut", "flipped"],
)
def test_a_damaged_part_is_made_again_with_a_word(images, tmp_path, caplog, damaged):
    _, before = store(images, tmp_path / "kept")
    path = tmp_path / "kept" / "part-00001-float32.arrow"
    path.write_bytes(damaged(path))
    with caplog.at_level(logging.WARNING):
        read, after = store(images, tmp_path / "kept")
    assert read == 4
    assert np.array_equal(before, after)
    assert "part-00001-float32.arrow" in caplog.text
    assert "made again" in caplog.text


def test_parts_of_other_images_are_made_again(images, tmp_path, caplog):
    store(images, tmp_path / "kept")
    assert store(images[::-1], tmp_path / "kept")[0] == 10
    assert caplog.text.count("holds other images, or not float32") == 3


def test_both_precisions_of_the_same_descriptors_are_kept_beside_each_other(images, tmp_path):
    assert [store(images, tmp_path / "kept", kind=kind)[0] for kind in ("float32", "float16")] == [10, 10]
    assert [store(images, tmp_path / "kept", kind=kind)[0] for kind in ("float32", "float16")] == [0, 0]


def test_half_precision_is_kept_as_such(images, tmp_path):
    _, found = store(images, tmp_path / "kept", kind="float16")
    assert found.dtype == np.float16
    assert np.allclose(found, extract(describe, images, ImageReader(None)), atol=2e-3)


def test_a_stored_part_is_a_view_of_its_file(tmp_path):
    names, numbers = [f"{i}.jpg" for i in range(5000)], np.random.default_rng(0).random((5000, 64), dtype=np.float32)
    DescriptorStore(tmp_path, tuple(names), part_size=5000).write(0, numbers, {})
    allocated = pa.total_allocated_bytes()
    (part_ND,) = DescriptorStore(tmp_path, tuple(names), part_size=5000).parts()
    assert pa.total_allocated_bytes() - allocated < 1000
    (line,) = [each for each in Path("/proc/self/maps").read_text().splitlines() if "part-00000-float32.arrow" in each]
    start, stop = (int(each, 16) for each in line.split()[0].split("-"))
    assert start <= part_ND.ctypes.data < stop
    assert np.array_equal(part_ND, numbers)
    assert not part_ND.flags.writeable


def test_a_full_disk_leaves_no_half_part(images, tmp_path, full_disk):
    with full_disk(600), pytest.raises(OSError, match="too large"):
        store(images, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_where_descriptors_come_from_is_written_into_each_part(images, tmp_path):
    store(images, tmp_path / "kept", provenance={"weights": "abc", "torch": "2.15"})
    for path in (tmp_path / "kept").iterdir():
        assert map_arrow(path).provenance == {"weights": "abc", "torch": "2.15"}


def test_unreadable_images_are_named_over_all_parts_and_the_others_kept(images, tmp_path):
    for index in (1, 9):
        images[index][0].write_bytes(b"no image")
    with pytest.raises(UnreadableImagesError, match="2 unreadable") as caught:
        store(images, tmp_path / "kept")
    assert [path.name for path in caught.value.paths] == ["01.png", "09.png"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["part-00001-float32.arrow"]
    for index in (1, 9):
        Image.new("RGB", (8, 8)).save(images[index][0])
    assert store(images, tmp_path / "kept")[0] == 6


def test_progress_goes_on_over_parts_and_counts_those_that_were_there(images, tmp_path):
    seen: list[tuple[int, int]] = []
    store(images, tmp_path / "kept")
    (tmp_path / "kept" / "part-00001-float32.arrow").unlink()
    store(images, tmp_path / "kept", batch_size=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (6, 10), (8, 10), (10, 10)]


def test_asking_for_parts_that_are_not_there_says_which(tmp_path):
    with pytest.raises(ValueError, match=r"part-00000-float32\.arrow is missing"):
        DescriptorStore(tmp_path, ("a.jpg",)).parts()


def test_names_do_not_change_when_the_data_set_is_moved():
    def items(root):
        return [(Path(root) / name, box) for name, box in (("a/1.jpg", None), ("b/1.jpg", (1.5, 2, 3, 4)))]

    assert image_names(items("/data/oxford")) == image_names(items("/mnt/x")) == ["a/1.jpg", "b/1.jpg#1.5,2,3,4"]
    assert image_names([(Path("/1.jpg"), None)]) == ["1.jpg"]


def test_the_key_changes_with_weights_images_and_settings(images):
    torch.manual_seed(0)
    network = build_network("mini_resnet")
    keys = [weights_digest(network), weights_digest(MultiScale(network, (1, 0.5)))]
    keys += [weights_digest(MultiScale(network, (1, 2))), weights_digest(build_network("mini_resnet", pooling="mac"))]
    with torch.no_grad():
        network.pooling.p.add_(1e-6)
    keys.append(weights_digest(network))
    keys += [data_digest(images), data_digest(images[::-1]), data_digest(images[1:])]
    images[0][0].write_bytes(b"longer than before" * 100)
    keys += [data_digest(images), store_key("w", "d", {"size": 64}), store_key("w", "d", {"size": [64, 32]})]
    assert len(set(keys)) == len(keys)
    assert weights_digest(network) == weights_digest(network)
    assert store_key("w", "d", {"a": 1, "b": 2}) == store_key("w", "d", {"b": 2, "a": 1})


def test_settings_that_are_no_weights_change_the_digest():
    settings = [{}, {"unit_pooled": True}]
    networks = [build_network("mini_resnet", descriptor_size=8, **each) for each in settings]
    networks += [RetrievalNetwork(networks[0].backbone, head, nn.Identity()) for head in (RMAC(3), RMAC(2))]
    networks += [RetrievalNetwork(networks[0].backbone, GeM(eps=eps), nn.Identity()) for eps in (1e-6, 1e-5)]
    for network in networks:
        network.load_state_dict(networks[0].state_dict(), strict=False)
    digests = [weights_digest(network) for network in networks]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_parquet_gives_back_what_went_in(tmp_path, kind):
    parts = [np.random.default_rng(i).random((n, 8)).astype(kind) for i, n in enumerate((5, 3))]
    names = [f"{i}.jpg" for i in range(8)]
    write_parquet(tmp_path / "d.parquet", names, parts, {"weights": "abc"})
    found = read_parquet(tmp_path / "d.parquet")
    assert found.names == names
    assert found.descriptors_ND.dtype == kind
    assert np.array_equal(found.descriptors_ND, np.concatenate(parts))
    assert found.provenance["weights"] == "abc"


def test_files_that_are_none_of_descriptors_are_refused(tmp_path):
    numbers = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="1 names for descriptors"):
        write_arrow(tmp_path / "a", ["x"], numbers, {})
    with pytest.raises(ValueError, match="float64"):
        write_arrow(tmp_path / "a", ["x", "y"], numbers.astype(np.float64), {})
    with pytest.raises(ValueError, match="3 names for 2 descriptors"):
        write_parquet(tmp_path / "a", ["x", "y", "z"], [numbers], {})
    with pytest.raises(ValueError, match="no Parquet file of descriptors"):
        read_parquet(tmp_path / "missing.parquet")
    with pytest.raises(ValueError, match="no whole file of descriptors"):
        map_arrow(tmp_path / "missing.arrow")
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_utf8_are_kept_and_found_again(tmp_path: Path) -> None:
    images = [(tmp_path / os.fsdecode(name), None) for name in (b"caf\xe9.png", b"caf\xe8.png", b"cafe.png")]
    for number, (path, _) in enumerate(images):
        with path.open("wb") as file:
            Image.new("RGB", (8, 8), (number, 0, 0)).save(file, "PNG")
    assert image_names(images) == ["./caf%E9.png", "./caf%E8.png", "cafe.png"]
    assert len({data_digest(images[:1]), data_digest(images[1:2])}) == 2
    first = extract_stored(describe, images, ImageReader(None), tmp_path / "store")
    reader = CountingReader()
    again = extract_stored(describe, images, reader, tmp_path / "store")
    np.testing.assert_array_equal(first[0], again[0])
    assert reader.count == 0

import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.datasets.formats.oxford import load_oxford
from retrieval.descriptors.extract import describe_with, extract
from retrieval.evaluation.evaluate import evaluate
from retrieval.images import ImageReader, UnreadableImagesError
from retrieval.networks.network import build_network


def mean_colour(images_NCHW: torch.Tensor) -> np.ndarray:
    return images_NCHW.mean((2, 3)).numpy()


class CountingReader(ImageReader):
    """Counts what it has read, and dawdles over every third image."""

    def __init__(self) -> None:
        super().__init__(None)
        self.count = 0

    def read(self, path, box=None):
        image_CHW = super().read(path, box)
        if int(path.stem) % 3 == 0:
            time.sleep(0.002)
        with self._lock:
            self.count += 1
        return image_CHW


def greys(folder, sides):
    """One square image of each of these sides, each lighter than the one before; with nothing to crop."""
    items = []
    for i, side in enumerate(sides):
        items.append((folder / f"{i}.png", None))
        Image.new("RGB", (side, side), (i,) * 3).save(items[-1][0])
    return items


def test_descriptors_come_in_the_order_of_the_images_whatever_their_sizes(tmp_path):
    images = greys(tmp_path, [8 + i % 3 for i in range(10)])
    described = extract(mean_colour, images, CountingReader(), batch_size=2)
    singly = np.concatenate([extract(mean_colour, [image], ImageReader(None)) for image in images])
    assert described.dtype == np.float32
    assert np.allclose(described, singly)
    assert (np.diff(described[:, 0]) > 0).all()


def test_a_box_is_cut_out_before_the_image_is_described(tmp_path):
    picture = Image.new("RGB", (8, 8), "black")
    picture.paste((255, 255, 255), (4, 0, 8, 8))
    picture.save(tmp_path / "0.png")
    images = [(tmp_path / "0.png", box) for box in ((0, 0, 4, 8), (4, 0, 8, 8))]
    dark, light = extract(mean_colour, images, ImageReader(None))
    assert (dark < 0).all()
    assert (light > 2).all()


def test_every_unreadable_image_is_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "good.jpg")
    for name in ("bad.jpg", "worse.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    images = [(tmp_path / name, None) for name in ("bad.jpg", "good.jpg", "worse.jpg", "missing.jpg")]
    with pytest.raises(UnreadableImagesError, match="3 unreadable") as caught:
        extract(mean_colour, images, ImageReader(None))
    assert [path.name for path in caught.value.paths] == ["bad.jpg", "worse.jpg", "missing.jpg"]


def test_images_of_one_size_fill_their_batches(tmp_path):
    shapes = []

    def describe(images_NCHW):
        shapes.append(tuple(images_NCHW.shape))
        return mean_colour(images_NCHW)

    extract(describe, greys(tmp_path, [8, 8, 9, 8, 8, 9, 8]), ImageReader(None), batch_size=2)
    assert shapes == [(2, 3, 8, 8), (2, 3, 8, 8), (2, 3, 9, 9), (1, 3, 8, 8)]


def test_the_next_batch_is_read_while_one_is_described(tmp_path):
    reader, read_meanwhile = CountingReader(), []

    def describe(images_NCHW):
        deadline = time.monotonic() + 10
        goal = min(20, reader.count + 4)
        while reader.count < goal and time.monotonic() < deadline:
            time.sleep(0.001)
        read_meanwhile.append(reader.count)
        return mean_colour(images_NCHW)

    extract(describe, greys(tmp_path, [8] * 20), reader, batch_size=4)
    # Batch k was handed over before this; by its end the k + 1st has been read, too.
    assert all(count >= min(20, 4 * (k + 2)) for k, count in enumerate(read_meanwhile))


@pytest.mark.parametrize("sides", [[8] * 60, list(range(8, 68))])
def test_no_more_than_a_few_batches_are_held_whatever_the_sizes(tmp_path, sides):
    reader, described, held = CountingReader(), [0], []

    def describe(images_NCHW):
        time.sleep(0.01)
        held.append(reader.count - described[0])
        described[0] += len(images_NCHW)
        return mean_colour(images_NCHW)

    extract(describe, greys(tmp_path, sides), reader, batch_size=3)
    assert described == [60]
    # Four batches that wait for their like, one described, one ready, one read ahead, and one in each thread.
    assert max(held) <= 7 * 3 + 2 + torch.get_num_threads()


def test_progress_counts_to_the_end(tmp_path):
    seen = []
    extract(
        mean_colour,
        greys(tmp_path, [8] * 5),
        ImageReader(None),
        batch_size=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_an_error_in_the_network_ends_the_threads_that_read(tmp_path):
    def describe(images_NCHW):
        raise RuntimeError("out of memory")

    images = greys(tmp_path, [8] * 30)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        extract(describe, images, CountingReader(), batch_size=2)
    assert threading.active_count() == before


def test_no_images_are_an_error():
    with pytest.raises(ValueError, match="no images"):
        extract(mean_colour, [], ImageReader(None))


def test_autocast_gives_float32_that_differs_by_no_more_than_half_precision():
    torch.manual_seed(0)
    network, images = build_network("mini_resnet", descriptor_size=32), torch.randn(4, 3, 64, 64)
    plain, half = (describe_with(network, torch.device("cpu"), autocast=each)(images) for each in (False, True))
    assert half.dtype == np.float32
    assert 0 < np.abs(half - plain).max() < 0.02


def test_the_map_of_a_random_network_lies_between_chance_and_one(tiny_data):
    torch.manual_seed(0)
    describe = describe_with(build_network("mini_resnet"), torch.device("cpu"))
    scores = evaluate(describe, load_oxford(tiny_data / "val", name="val"), ImageReader(64))
    assert 0 < scores.map < 1
    assert len(scores.aps) == 8

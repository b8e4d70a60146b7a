import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.datasets.oxford import load_oxford
from retrieval.descriptors import describe_with, extract
from retrieval.evaluate import evaluate
from retrieval.images import ImageReader, UnreadableImagesError
from retrieval.network import build_network


def mean_colour(images_NCHW: torch.Tensor) -> np.ndarray:
    return images_NCHW.mean((2, 3)).numpy()


def test_descriptors_come_in_the_order_of_the_images_whatever_their_sizes(tmp_path):
    paths = []
    for grey in range(10):
        paths.append(tmp_path / f"{grey}.png")
        Image.new("RGB", (8 + grey % 3, 9), (20 * grey,) * 3).save(paths[-1])
    images = [(path, None) for path in paths]
    described = extract(mean_colour, images, ImageReader(None), batch_size=2)
    singly = np.concatenate([extract(mean_colour, [image], ImageReader(None)) for image in images])
    assert np.allclose(described, singly)
    assert (np.diff(described[:, 0]) > 0).all()


def test_every_unreadable_image_is_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "good.jpg")
    for name in ("bad.jpg", "worse.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    images = [(tmp_path / name, None) for name in ("bad.jpg", "good.jpg", "worse.jpg", "missing.jpg")]
    with pytest.raises(UnreadableImagesError, match="3 unreadable") as caught:
        extract(mean_colour, images, ImageReader(None))
    assert [path.name for path in caught.value.paths] == ["bad.jpg", "worse.jpg", "missing.jpg"]


def test_the_map_of_a_random_network_lies_between_chance_and_one(tiny_data):
    torch.manual_seed(0)
    describe = describe_with(build_network("mini_resnet"), torch.device("cpu"))
    scores = evaluate(describe, load_oxford(tiny_data / "val", name="val"), ImageReader(64))
    assert 0 < scores.map < 1
    assert len(scores.aps) == 8

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from retrieval.image_sizes import check_large_enough, size_as_read, smallest_side
from retrieval.images import read_image
from retrieval.networks.multiscale import MultiScale
from retrieval.networks.network import build_network


def test_the_size_is_the_one_that_pillow_shrinks_to():
    rng = np.random.default_rng(0)
    for width, height, side in rng.integers(1, 300, (3000, 3)).tolist():
        image = Image.new("1", (width, height))
        image.thumbnail((float(side), float(side)))
        assert size_as_read((width, height), side) == image.size, (width, height, side)


@pytest.mark.parametrize("image_size", [None, 20, 33, 400, (24, 12)])
@pytest.mark.parametrize("box", [None, (3.4, 4.6, 90.6, 15.4), (0.0, 0.0, 200.0, 2.0)])
def test_the_size_is_the_one_that_an_image_is_read_at(tmp_path, image_size, box):
    Image.new("RGB", (200, 101)).save(tmp_path / "a.png")
    read_CHW = read_image(tmp_path / "a.png", size=image_size, box=box)
    assert size_as_read((200, 101), image_size, box) == (read_CHW.shape[2], read_CHW.shape[1])


@pytest.mark.parametrize(("name", "pooling", "expected"), [("mini_resnet", "rmac", 1), ("vgg16", "netvlad", 16)])
def test_the_smallest_side_is_taken_and_one_pixel_less_is_not(name, pooling, expected):
    network = build_network(name, pooling=pooling).eval()
    needed = smallest_side(network)
    assert needed == expected
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, needed, 100)).isfinite().all()
        assert network(torch.zeros(1, 3, 100, needed)).isfinite().all()
        if needed > 1:
            with pytest.raises(RuntimeError):
                network(torch.zeros(1, 3, needed - 1, 100))


def test_a_smaller_scale_needs_a_larger_image():
    network = build_network("mini_resnet").eval()
    assert smallest_side(MultiScale(network, [1.0, 0.25])) == 4


def test_a_network_that_describes_nothing_is_said_to_be_broken():
    class Broken(nn.Module):
        def forward(self, images_NCHW):
            return images_NCHW.mean((-2, -1)) / 0

    with pytest.raises(ValueError, match="is it broken"):
        smallest_side(Broken())


def test_images_that_are_too_small_are_all_counted_and_named_with_their_sizes(tmp_path):
    images = []
    for name, size in (("good", (60, 40)), ("strip", (2000, 3)), ("icon", (9, 9)), ("wide", (300, 20))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
        images.append((tmp_path / f"{name}.png", None))
    images.append((tmp_path / "good.png", (0.0, 0.0, 8.0, 40.0)))
    (tmp_path / "broken.png").write_text("no image")
    images.append((tmp_path / "broken.png", None))  # left to the reading of images, which names it
    seen = []
    with pytest.raises(ValueError, match=r"^4 images are too small .* at least 16 pixels") as caught:
        check_large_enough(images, 16, 100, "ignore", progress=lambda done, total: seen.append((done, total)))
    message = str(caught.value)
    assert "strip.png (2000 × 3, read at 100 × 1)" in message
    assert "icon.png (9 × 9, read at 9 × 9)" in message
    assert "wide.png (300 × 20, read at 100 × 7)" in message
    assert "good.png (60 × 40, its box read at 8 × 40)" in message
    assert "\n" not in message
    assert seen == [(6, 6)]
    check_large_enough(images, 16, (64, 32), "ignore")
    check_large_enough(images, 1, 100, "ignore")


def test_an_image_size_below_what_the_network_needs_is_refused():
    with pytest.raises(ValueError, match="read at 16 pixels, but the network needs at least 31"):
        check_large_enough([], 31, 16, "ignore")
    with pytest.raises(ValueError, match=r"read at \(64, 16\) pixels"):
        check_large_enough([], 31, (64, 16), "ignore")

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from retrieval.descriptors.extract import describe_with
from retrieval.networks.multiscale import MultiScale, power_of
from retrieval.networks.network import RetrievalNetwork, build_network
from retrieval.networks.pooling import GeM
from retrieval.networks.whitening import Whitened, Whitening
from retrieval.runtime.onnx_model import describe_in, open_session, to_onnx

PAPER = (1.0, math.sqrt(2), 1 / math.sqrt(2))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_network("mini_resnet").train()
    with torch.no_grad():
        network(torch.randn(4, 3, 96, 96))
    return network.eval()


def plain_multiscale(network, images_NCHW, scales, power):
    """The sum over the scales written out, sizes through a float."""
    total = torch.zeros(len(images_NCHW), 128)
    for scale in scales:
        sides = [math.floor(scale * side) for side in images_NCHW.shape[-2:]]
        resized = F.interpolate(images_NCHW, size=sides, mode="bilinear", align_corners=False)
        total += network(resized) ** power
    total = (total / len(scales)) ** (1 / power)
    return total / total.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("power", [1.0, 3.0])
@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (1, 3, 75, 131)])
def test_the_descriptor_is_the_power_mean_over_the_scales(network, shape, power):
    images = torch.randn(shape)
    with torch.no_grad():
        found, expected = MultiScale(network, PAPER, power)(images), plain_multiscale(network, images, PAPER, power)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_power_mean_by_hand():
    # Components (0.6, 0.8) and (1, 0) of power 3: means (0.608, 0.256), roots (0.847165, 0.634960), length 1.058708.
    two = iter([torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]])])

    class Given(nn.Module):
        def forward(self, images_NCHW):
            return next(two)

    found = MultiScale(Given(), (1.0, 0.5), 3.0)(torch.zeros(1, 3, 8, 8))
    assert found[0].tolist() == pytest.approx([0.800187, 0.599750], abs=1e-6)


def test_scale_1_alone_changes_nothing(network):
    images = torch.randn(2, 3, 50, 70)
    with torch.no_grad():
        assert torch.allclose(MultiScale(network, (1.0,), 1.0)(images), network(images), atol=1e-7)


def test_sides_are_rounded_down():
    sizes = []

    class Seen(nn.Module):
        def forward(self, images_NCHW):
            sizes.append(tuple(images_NCHW.shape[-2:]))
            return torch.ones(1, 2)

    for scale in (*PAPER[1:], 0.5, 1.5):
        for side in range(30, 1100, 7):
            MultiScale(Seen(), (scale,))(torch.zeros(1, 1, side, 10))
            assert sizes.pop() == (math.floor(side * scale), math.floor(10 * scale))
    MultiScale(Seen(), (0.7,))(torch.zeros(1, 1, 170, 10))
    assert sizes.pop() == (119, 7)  # 170 · 0.7 is 118.99999999999999 in floats


def test_the_power_is_gems_exponent_only_where_the_pooled_vector_is_the_descriptor(network):
    with torch.no_grad():
        network.pooling.p.fill_(2.5)
        assert power_of(network) == 2.5
        network.pooling.p.fill_(3.0)
    assert power_of(build_network("mini_resnet", descriptor_size=32)) == 1
    assert power_of(build_network("mini_resnet", pooling="rmac")) == 1
    assert power_of(build_network("mini_resnet", classes=4)) == 1
    assert power_of(Whitened(network, Whitening(torch.zeros(128), torch.eye(128)))) == 1


def test_whitened_and_multiscale_in_onnx_equal_torch_at_sizes_that_were_not_traced():
    torch.manual_seed(0)
    # Two strides, which is what the exporter must carry the scaled sides through; a whole backbone takes long.
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()]
    network = RetrievalNetwork(nn.Sequential(*layers), GeM(), nn.Identity())
    whitening = Whitening(torch.rand(16) / 4, torch.randn(8, 16))
    whole = Whitened(MultiScale(network, PAPER, power_of(network)), whitening)
    session = open_session(to_onnx(whole, 64))
    for shape in [(1, 3, 64, 64), (2, 3, 96, 64), (3, 3, 75, 131)]:
        images = torch.randn(shape)
        onnx, plain = describe_in(session)(images), describe_with(whole, torch.device("cpu"))(images)
        assert np.abs(onnx - plain).max() < 1e-5


@pytest.mark.parametrize("scales", [(), (1.0, 1.0), (0.0,), (-1.0,), (math.nan,), (math.inf,)])
def test_scales_that_make_no_sense_are_refused(network, scales):
    with pytest.raises(ValueError, match="scales are"):
        MultiScale(network, scales)


def test_a_power_of_0_is_refused(network):
    with pytest.raises(ValueError, match="power is 0"):
        MultiScale(network, (1.0,), 0.0)

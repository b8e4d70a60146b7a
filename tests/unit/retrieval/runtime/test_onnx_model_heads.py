import numpy as np
import pytest
import torch

from retrieval.descriptors.extract import describe_with
from retrieval.networks.network import BACKBONES, POOLINGS, build_network
from retrieval.runtime.onnx_model import describe_in, open_session, to_onnx

SIZES = ((64, 64), (96, 64), (64, 128))


def largest_difference(network, sizes):
    """Between torch's descriptors and those of the exported network, over all sizes."""
    # Random weights, but statistics that were seen: untouched ones let the maps of deep networks die out or explode.
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 96, 96))
    network.eval()
    session = open_session(to_onnx(network, 64))
    differences = []
    for height, width in sizes:
        images = torch.randn(2, 3, height, width)
        onnx, plain = describe_in(session)(images), describe_with(network, torch.device("cpu"))(images)
        differences.append(np.abs(onnx - plain).max())
    return max(differences)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_onnx_equals_torch_at_three_sizes_for_every_head(pooling):
    assert largest_difference(build_network("mini_resnet", pooling=pooling), SIZES) < 1e-5


def test_onnx_equals_torch_at_three_sizes_for_the_reid_head():
    assert largest_difference(build_network("mini_resnet", classes=4), SIZES) < 1e-5


def test_rmac_lays_its_regions_by_the_size_of_the_image_in_onnx_too():
    # Feature maps of 1×1, 1×20, 20×1, 5×9 (a tie between two overlaps) and 9×5.
    sizes = [(16, 16), (16, 320), (320, 16), (80, 144), (144, 80)]
    assert largest_difference(build_network("mini_resnet", pooling="rmac"), sizes) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "mini_resnet"])
def test_onnx_equals_torch_at_three_sizes_for_every_backbone(name):
    assert largest_difference(build_network(name), SIZES) < 1e-5

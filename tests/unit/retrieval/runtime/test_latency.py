from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import retrieval
from retrieval.descriptors.extract import describe_with
from retrieval.networks.network import build_network
from retrieval.runtime.latency import LatencySettings, paired_speedup
from retrieval.runtime.onnx_model import describe_in, open_session, to_onnx


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("mini_resnet", descriptor_size=32).eval()


@pytest.fixture(scope="module")
def model(network) -> bytes:
    return to_onnx(network, 64)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (3, 3, 96, 80), (2, 3, 50, 131)])
def test_the_onnx_model_gives_torchs_descriptors_at_other_sizes(network, model, shape):
    images = torch.randn(shape)
    onnx, plain = describe_in(open_session(model))(images), describe_with(network, torch.device("cpu"))(images)
    assert np.abs(onnx - plain).max() < 1e-6


def test_an_exported_model_names_no_file_of_the_machine_that_exported_it(model):
    for library in (torch, retrieval):
        assert str(Path(library.__file__ or "").parent).encode() not in model


def test_export_gives_the_network_back_as_it_was():
    network = build_network("mini_resnet").train()
    to_onnx(network, 64)
    assert all(module.training for module in network.modules())


def test_a_narrower_network_is_faster_and_the_same_network_is_not(model):
    torch.manual_seed(0)
    small = build_network("mini_resnet", descriptor_size=32)
    small.backbone.layer3 = torch.nn.Conv2d(64, 128, 1)
    settings = LatencySettings(image_size=64, pairs=50)
    same, faster = paired_speedup(model, model, settings), paired_speedup(model, to_onnx(small, 64), settings)
    assert 0.6 < same.speedup < 1.6
    assert faster.speedup > same.speedup
    assert faster.speedup == pytest.approx(faster.dense_latency_ms / faster.latency_ms)
    assert faster.speedup_low <= faster.speedup_high


def test_fewer_pairs_than_the_design_asks_for_are_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 25"):
        LatencySettings(image_size=64, pairs=3)
